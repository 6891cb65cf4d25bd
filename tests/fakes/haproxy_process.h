// A real HAProxy on free loopback ports, for as long as the object lives.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/balancers/haproxy_replies.h"
#include "server/balancers/haproxy_socket.h"
#include "server/core/clock.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/process_group.h"
#include "tests/fakes/program_run.h"

namespace shadow {

// Master-worker mode, a process group of its own. One thread, which must outlive this: HAProxy ends
// with it.
class HaproxyProcess {
 public:
  struct Options {
    int slots = 4;
    std::string balance = "roundrobin";
    std::string level = "admin";  // Of the stats socket.
    // Of base1 and the slots. Empty: no health check.
    std::string check = "check inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions";
    std::string server_timeout = "10s";
    std::string base_server = "";  // "127.0.0.1:8080": a server `base1` of weight 100, not a slot.
    std::string more = "";         // Appended to the configuration.
    bool keeps_state = false;      // Over a reload: what `show servers state` said just before it.
    std::string shadowctl = "";    // Its path: `haproxy dump` writes that. Empty: done here.
  };

  static constexpr absl::Duration kStartTimeout = absl::Seconds(10);

  // Throws std::runtime_error, with HAProxy's own words, where it does not start.
  HaproxyProcess() : HaproxyProcess(Options()) {}
  explicit HaproxyProcess(Options options) : options_(std::move(options)) {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-haproxy-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    directory_ = name;
    frontend_port_ = FreeLoopbackPort();
    Start();
  }
  HaproxyProcess(const HaproxyProcess&) = delete;
  HaproxyProcess& operator=(const HaproxyProcess&) = delete;
  ~HaproxyProcess() {
    Stop();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  int frontend_port() const { return frontend_port_; }
  std::string socket_path() const { return directory_ + "/haproxy.sock"; }

  // The frontend is "front", the backend "web", its slots slot1 to slotN.
  //
  // Why these settings: DOWN after two failed checks breaks off what a hanging server holds
  // (`on-marked-down shutdown-sessions`), and what has no answer yet goes to another server at once
  // (`retry-on`, `option redispatch 1`), but only GET and HEAD, which may be repeated.
  std::string Config() const {
    const std::string check = options_.check.empty() ? "" : " " + options_.check;
    const std::string base =
        options_.base_server.empty()
            ? ""
            : "  server base1 " + options_.base_server + " weight 100" + check + "\n";
    return "global\n"
           "  stats socket " +
           socket_path() + " mode 600 level " + options_.level +
           "\n"
           "  maxconn 2000\n"
           "  nbthread 2\n"
           "  hard-stop-after 5s\n" +
           (options_.keeps_state ? "  server-state-file " + StatePath() + "\n" : "") +
           "defaults\n"
           "  mode http\n"
           "  timeout connect 1s\n"
           "  timeout client 60s\n"
           "  timeout server " +
           options_.server_timeout +
           "\n"
           "  timeout queue 5s\n"
           "  timeout check 500ms\n"
           "frontend front\n"
           "  bind 127.0.0.1:" +
           std::to_string(frontend_port_) +
           "\n"
           "  default_backend web\n"
           "backend web\n"
           "  balance " +
           options_.balance +
           "\n"
           "  option httpchk GET /health\n"
           "  option redispatch 1\n"
           "  retries 3\n"
           "  retry-on conn-failure empty-response response-timeout 500 502 503 504\n"
           "  http-request disable-l7-retry unless METH_GET\n" +
           (options_.keeps_state ? "  load-server-state-from-file global\n" : "") + base +
           "  server-template slot 1-" + std::to_string(options_.slots) +
           " 127.0.0.1:9 weight 100" + check + " disabled\n" + options_.more;
  }

  // With the same configuration: all slots are free again, unless it keeps state. Returns when the
  // new worker answers.
  void Reload() {
    const std::string before = Epoch();
    const auto reloaded = [&] {
      const std::string now = Epoch();
      return !now.empty() && now != before;
    };
    // Not SIGUSR2: a master that has only just started may miss it (seen on 2.6.12), while one that
    // answers on its own socket carries `reload` out. It hangs up on that without a reply.
    WaitUntilUp([this] { return !AskMaster("show proc;quit\n").empty(); });
    if (options_.keeps_state) DumpState();
    AskMaster("reload\n");
    WaitUntilUp(reloaded);
  }

  // As by a crash: kill -9 of master and worker.
  void Kill() {
    if (pid_ > 0) kill(-pid_, SIGKILL);
    Reap();
  }

  // A new start on the same ports, after Kill where that was not done.
  void Restart() {
    Kill();
    Start();
  }

  // Hangs: connections are taken by the kernel and answered by nobody. And goes on.
  void Pause() {
    kill(-pid_, SIGSTOP);
    if (!PollUntil(kStartTimeout, [this] { return IsGroupStopped(pid_); })) {
      throw std::runtime_error("haproxy does not stop");
    }
  }
  void Continue() { kill(-pid_, SIGCONT); }

  void Stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    if (!PollUntil(absl::Seconds(5), [this] { return Exited(); })) kill(-pid_, SIGKILL);
    Reap();
  }

  // The replies to raw commands; empty where it does not answer.
  std::vector<std::string> Command(const std::vector<std::string>& commands) const {
    const HaproxySocket socket(socket_path(), clock_);
    auto replies = socket.Run(commands, socket.Deadline());
    return replies.ok() ? *std::move(replies) : std::vector<std::string>();
  }

  // "" while it does not answer.
  std::string Epoch() const {
    const std::vector<std::string> replies = Command({"show info"});
    return replies.empty() ? "" : ParseEpoch(replies.front()).value_or("");
  }

 private:
  void DumpState() const {
    if (options_.shadowctl.empty()) {
      std::ofstream(StatePath()) << Command({"show servers state"}).at(0);
      return;
    }
    const ProgramResult dumped = RunProgram(
        {options_.shadowctl, "haproxy", "dump", "--socket", socket_path(), "--file", StatePath()});
    if (dumped.exit_code != 0) throw std::runtime_error("haproxy dump: " + dumped.err);
  }

  std::string MasterPath() const { return directory_ + "/master.sock"; }
  std::string StatePath() const { return directory_ + "/servers.state"; }
  std::string LogPath() const { return directory_ + "/haproxy.log"; }

  std::string Log() const {
    std::ifstream log(LogPath());
    return {std::istreambuf_iterator<char>(log), {}};
  }

  // Everything up to the end of the stream; "" where the master does not listen.
  std::string AskMaster(std::string_view line) const {
    const TestSocket master(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    MasterPath().copy(address.sun_path, sizeof(address.sun_path) - 1);
    const timeval timeout{.tv_sec = 2, .tv_usec = 0};
    setsockopt(master.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    std::string reply;
    if (connect(master.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        !SendAll(master, line)) {
      return reply;
    }
    while (ReceiveMore(master, reply)) {
    }
    return reply;
  }

  void Start() {
    const std::string config_path = directory_ + "/haproxy.cfg";
    std::ofstream(config_path) << Config();
    const std::string log_path = LogPath();
    std::vector<std::string> arguments = {"haproxy",    "-W", "-db",      "-S",
                                          MasterPath(), "-f", config_path};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGTERM);  // Nothing is left behind by a test that is killed.
      const int log = open(log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
      dup2(log, 1);
      dup2(log, 2);
      execvp("haproxy", argv.data());
      execv("/usr/sbin/haproxy", argv.data());  // Not in the PATH of every user.
      _exit(127);
    }
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    setpgid(pid_, pid_);
    WaitUntilUp([this] { return !Epoch().empty(); });
  }

  template <typename F>
  void WaitUntilUp(F condition) {
    const bool up = PollUntil(kStartTimeout, [&] { return Exited() || condition(); });
    if (up && pid_ > 0) return;
    Stop();
    throw std::runtime_error("haproxy does not come up (is it installed?): " + Log());
  }

  bool Exited() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }

  void Reap() {
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  const Options options_;
  SystemClock clock_;
  std::string directory_;
  int frontend_port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace shadow
