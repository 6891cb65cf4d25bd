// A real shadowd in a directory of its own, and the calls that tests make of it.
#pragma once

#include <fcntl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "shadow/v1/dna_service.grpc.pb.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/pool_service.grpc.pb.h"
#include "shadow/v1/server_service.grpc.pb.h"
#include "shadow/v1/shadow_pool_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"
#include "tests/fakes/poll.h"

namespace shadow {

// The daemon lives until Kill, Terminate or the end of this object, which also kills whatever
// carries the store's tag and removes the directory. One thread but for Call, which any may use
// while the daemon is neither started nor ended.
class DaemonProcess {
 public:
  static constexpr absl::Duration kStartTimeout = absl::Seconds(30);
  static constexpr absl::Duration kStopTimeout = absl::Seconds(20);
  static constexpr absl::Duration kCallTimeout = absl::Seconds(20);

  // Returns when it serves. Throws std::runtime_error, with its log, where it does not. `bin_dir`
  // holds shadowd.
  explicit DaemonProcess(std::string bin_dir) : bin_dir_(std::move(bin_dir)) {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-daemon-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    directory_ = name;
    chmod(directory_.c_str(), 0755);  // The socket is what guards the daemon.
    std::ofstream(directory_ + "/shadowd.textproto") << "log_level: \"debug\"\n";
    try {
      Start();
    } catch (...) {
      Clean();
      throw;
    }
  }
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess() { Clean(); }

  const std::string& directory() const { return directory_; }
  std::string state_dir() const { return directory_ + "/state"; }
  std::string socket_path() const { return directory_ + "/shadowd.sock"; }
  std::string address() const { return "unix:" + socket_path(); }
  const std::string& store_id() const { return store_id_; }
  pid_t pid() const { return pid_; }

  // Further ones, of all starts to come.
  std::vector<std::string> arguments;
  rlim_t open_files_max = 0;  // RLIMIT_NOFILE; 0: as this process.
  // Passed as systemd passes sockets, from descriptor 3 on.
  std::vector<int> passed_fds;

  std::vector<std::string> Argv() const {
    std::vector<std::string> argv = {bin_dir_ + "/shadowd",
                                     "--config",
                                     directory_ + "/shadowd.textproto",
                                     "--state-dir",
                                     state_dir(),
                                     "--listen",
                                     address()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }

  // On the same state. Returns when it serves; throws as the constructor.
  void Start() {
    Spawn();
    Connect();
    const bool serving = PollUntil(kStartTimeout, [this] { return Exited() || Serves(); });
    if (!serving || pid_ <= 0) throw std::runtime_error("shadowd does not come up: " + Log());
    store_id_ = Call(*server_, &v1::ServerService::Stub::GetServerStatus, {})->store_id();
    store_ids_.insert(store_id_);
  }

  // On the same state, where it is to refuse to serve: its exit status. -1: ended by a signal, or
  // killed after kStartTimeout.
  int StartInVain() {
    Spawn();
    if (!PollUntil(kStartTimeout, [this] { return Exited(); })) Kill();
    return WIFEXITED(exit_status_) ? WEXITSTATUS(exit_status_) : -1;
  }

  // kill -9; returns when it is gone.
  void Kill() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    Reap();
  }

  // SIGTERM. The exit status; -1: ended by a signal, or killed after kStopTimeout.
  int Terminate() {
    kill(pid_, SIGTERM);
    if (!PollUntil(kStopTimeout, [this] { return Exited(); })) Kill();
    return WIFEXITED(exit_status_) ? WEXITSTATUS(exit_status_) : -1;
  }

  // What it has logged, over all starts.
  std::string Log() const {
    std::ifstream log(directory_ + "/shadowd.log");
    return {std::istreambuf_iterator<char>(log), {}};
  }

  v1::DnaService::Stub& dnas() { return *dnas_; }
  v1::PoolService::Stub& pools() { return *pools_; }
  v1::ShadowPoolService::Stub& shadows() { return *shadows_; }
  v1::UsageService::Stub& usage() { return *usage_; }
  v1::EventService::Stub& events() { return *events_; }
  v1::ServerService::Stub& server() { return *server_; }

  // One unary call with a deadline of kCallTimeout; errors are the daemon's.
  template <typename Stub, typename Request, typename Response>
  static absl::StatusOr<Response> Call(Stub& stub,
                                       grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
                                       const std::type_identity_t<Request>& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }

  // The processes that carry this store's tag, as the kernel knows them: instance id to pids. A
  // program that verifies an instance counts too while it runs.
  std::map<std::string, std::set<pid_t>> TaggedProcesses() const {
    std::map<std::string, std::set<pid_t>> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      pid_t pid = 0;
      if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
      std::ifstream file(entry.path() / "environ", std::ios::binary);
      const std::string environment = '\0' + std::string(std::istreambuf_iterator<char>(file), {});
      if (!store_ids_.contains(Variable(environment, "SHADOWD_STORE"))) continue;
      found[Variable(environment, "SHADOWD_INSTANCE")].insert(pid);
    }
    return found;
  }

  // Whether the kernel has stopped it ("T" of /proc/PID/stat).
  static bool Stopped(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    const size_t end = stat.rfind(") ");
    return end != std::string::npos && stat[end + 2] == 'T';
  }

 private:
  static std::string Variable(const std::string& environment, const std::string& name) {
    const std::string begin = '\0' + name + "=";
    const size_t at = environment.find(begin);
    return at == std::string::npos ? "" : std::string(environment.c_str() + at + begin.size());
  }

  void Spawn() {
    std::vector<std::string> words = Argv();
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log_path = directory_ + "/shadowd.log";
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ > 0) return;
    const rlimit files{.rlim_cur = open_files_max, .rlim_max = open_files_max};
    if (open_files_max > 0 && setrlimit(RLIMIT_NOFILE, &files) != 0) _exit(127);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // Nothing is left behind by a test that is killed.
    PassDescriptors();
    const int log = open(log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }

  // In the child.
  void PassDescriptors() const {
    constexpr int kFirst = 3;
    if (passed_fds.empty()) return;
    std::vector<int> copies;  // Out of the way.
    for (const int fd : passed_fds) copies.push_back(fcntl(fd, F_DUPFD_CLOEXEC, 100));
    for (size_t i = 0; i < copies.size(); ++i) dup2(copies[i], kFirst + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(copies.size()).c_str(), 1);
  }

  void Connect() {
    grpc::ChannelArguments options;
    options.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    options.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
    options.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    // Not the channel of the daemon before, which may still be waiting to reconnect.
    options.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), options);
    dnas_ = v1::DnaService::NewStub(channel_);
    pools_ = v1::PoolService::NewStub(channel_);
    shadows_ = v1::ShadowPoolService::NewStub(channel_);
    usage_ = v1::UsageService::NewStub(channel_);
    events_ = v1::EventService::NewStub(channel_);
    server_ = v1::ServerService::NewStub(channel_);
  }

  // grpc.health.v1.Health/Check of the whole server, by hand: its generated stub is in no package.
  bool Serves() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(500)));
    // Without it a call fails at once while there is no connection, and then nobody polls the next
    // try: gRPC looks at it every 5 s.
    context.set_wait_for_ready(true);
    // An empty HealthCheckRequest; a response of SERVING is field 1, varint 1.
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::Slice empty;
    const grpc::ByteBuffer empty_request(&empty, 1);
    auto call =
        stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", empty_request, &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    grpc::Slice answer;
    if (!status.ok() || !response.DumpToSingleSlice(&answer).ok()) return false;
    return std::string(reinterpret_cast<const char*>(answer.begin()), answer.size()) == "\x08\x01";
  }

  bool Exited() {
    if (pid_ > 0 && waitpid(pid_, &exit_status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }

  void Reap() {
    if (pid_ > 0) waitpid(pid_, &exit_status_, 0);
    pid_ = -1;
  }

  void Clean() {
    Kill();
    const bool gone = store_id_.empty() || PollUntil(kStopTimeout, [this] {
                        const auto left = TaggedProcesses();
                        for (const auto& [id, pids] : left) {
                          for (const pid_t pid : pids) kill(pid, SIGKILL);
                        }
                        return left.empty();
                      });
    std::error_code ignored;
    if (gone) std::filesystem::remove_all(directory_, ignored);
  }

  const std::string bin_dir_;
  std::string directory_;
  std::string store_id_;
  std::set<std::string> store_ids_;  // Of all starts: adopted ones keep the tag of a lost store.
  pid_t pid_ = -1;
  int exit_status_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::DnaService::Stub> dnas_;
  std::unique_ptr<v1::PoolService::Stub> pools_;
  std::unique_ptr<v1::ShadowPoolService::Stub> shadows_;
  std::unique_ptr<v1::UsageService::Stub> usage_;
  std::unique_ptr<v1::EventService::Stub> events_;
  std::unique_ptr<v1::ServerService::Stub> server_;
};

}  // namespace shadow
