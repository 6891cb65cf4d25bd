// What an instance is started with, and what it is not given.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <sstream>

#include "server/core/error.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// The output of a program that ends by itself.
std::string OutputOf(ProcessWorld& world, const InstanceSpec& instance) {
  const absl::Status created = Create(world.provider(), instance);
  INFO(created.ToString());
  REQUIRE(created.ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  return ReadText(world.LogPath(instance.id));
}

std::set<std::string> Lines(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

TEST_CASE("the environment is exactly the DNA's and ours") {
  ProcessWorld world;
  WriteFile(world.directory() / "token", "two words\n");
  CompiledDna dna = TestDna({"/usr/bin/env"});
  auto& environment = *dna.dna.mutable_process()->mutable_environment();
  environment["LISTEN"] = "127.0.0.1:$(PORT)";
  v1::Secret& secret = *dna.dna.mutable_security()->add_secrets();
  secret.set_environment_variable("TOKEN");
  secret.set_source_file(world.directory() / "token");
  const std::string output = OutputOf(world, TestInstance("a1", dna));
  const std::string address = Look(world.provider(), TestInstance("a1", dna)).address;
  const std::string port = address.substr(address.find(':') + 1);
  CHECK(Lines(output) ==
        std::set<std::string>{"LISTEN=127.0.0.1:" + port, "TOKEN=two words", "PORT=" + port,
                              "SHADOWD_POOL=web", "SHADOWD_SHADOW=r0123456789ab",
                              "SHADOWD_INSTANCE=a1", "SHADOWD_STORE=" + world.store_id(),
                              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
}

TEST_CASE("the port is put into arguments, and the directory is entered") {
  ProcessWorld world;
  CompiledDna dna = TestDna({"/bin/sh", "-c", "echo \"$0 $(pwd)\"; umask", "<$(PORT)>"});
  dna.dna.mutable_process()->set_working_directory("/usr");
  const std::string output = OutputOf(world, TestInstance("a1", dna));
  const std::string address = Look(world.provider(), TestInstance("a1", dna)).address;
  CHECK(output == "<" + address.substr(address.find(':') + 1) + "> /usr\n0022\n");
}

TEST_CASE("an instance gets no descriptor of ours, no signal mask, and a session of its own") {
  ProcessWorld world;
  // All that could leak: a descriptor without close-on-exec, an ignored and a blocked signal.
  const int leak = open("/dev/null", O_RDONLY);
  REQUIRE(leak >= 0);
  const auto previous = signal(SIGUSR1, SIG_IGN);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const InstanceSpec instance =
      TestInstance("a1", Shell("readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; "
                               "grep -E '^Sig(Blk|Ign):' /proc/self/status; "
                               "cut -d ' ' -f 6 /proc/$$/stat; echo $$"));
  const std::string output = OutputOf(world, instance);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  signal(SIGUSR1, previous);
  close(leak);
  const pid_t pid = PidOf(Look(world.provider(), instance));
  // 0, 1, 2, and the directory that ls itself has open.
  CHECK(output == "/dev/null\n4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" +
                      std::to_string(pid) + "\n" + std::to_string(pid) + "\n");
}

TEST_CASE("limits, privileges and capabilities are those of the DNA") {
  ProcessWorld world;
  CompiledDna dna = Shell(
      "ulimit -Hn; ulimit -Hv; grep -E '^(CapEff|CapBnd|NoNewPrivs):' "
      "/proc/self/status");
  dna.dna.mutable_resources()->set_open_files_max(50);
  dna.dna.mutable_resources()->set_memory_max_bytes(int64_t{512} << 20);
  dna.dna.mutable_security()->set_no_new_privileges(true);
  const std::string output = OutputOf(world, TestInstance("a1", dna));
  CHECK(output.find("50\n524288\n") == 0);
  CHECK(output.find("CapEff:\t0000000000000000\n") != std::string::npos);
  CHECK(output.find("NoNewPrivs:\t1\n") != std::string::npos);
  if (geteuid() == 0) CHECK(output.find("CapBnd:\t0000000000000000\n") != std::string::npos);
}

TEST_CASE("an instance may open as many files as the daemon could at its start") {
  ProcessWorld world;
  world.open_files_soft = 37;
  world.Reopen();
  CompiledDna dna = Shell("ulimit -Sn");
  CHECK(OutputOf(world, TestInstance("a1", dna)) == "37\n");
  dna.dna.mutable_resources()->set_open_files_max(50);
  CHECK(OutputOf(world, TestInstance("a2", dna)) == "50\n");
}

TEST_CASE("as root an instance runs as its user, with the capabilities that it keeps") {
  if (geteuid() != 0) return;  // Refused otherwise, which process_plan_test shows.
  const auto [user, uid] = GENERATE(std::pair<const char*, const char*>{"nobody", "65534"},
                                    std::pair<const char*, const char*>{"54321", "54321"},
                                    std::pair<const char*, const char*>{"", "0"});
  ProcessWorld world;
  CompiledDna dna = Shell("id -u; id -G; grep -E '^Cap(Eff|Bnd):' /proc/self/status");
  dna.dna.mutable_security()->set_user(user);
  dna.dna.mutable_security()->add_capabilities("CAP_NET_BIND_SERVICE");
  const std::string output = OutputOf(world, TestInstance("a1", dna));
  INFO(output);
  CHECK(output.starts_with(std::string(uid) + "\n"));
  CHECK(output.find("CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\n") != std::string::npos);
  if (*user != '\0') CHECK(output.find("\n" + std::string(uid) + "\n") != std::string::npos);
}

TEST_CASE("what cannot be started is named, and nothing is left of it") {
  struct Row {
    const char* what;
    std::function<void(v1::Dna&)> change;
    const char* field;
    const char* problem;
  };
  ProcessWorld world;
  const std::string text_file = world.directory() / "text";
  WriteFile(text_file, "no program\n");
  const std::vector<Row> rows = {
      {"no program", [](v1::Dna& dna) { dna.mutable_process()->set_argv(0, "/nowhere/server"); },
       "dna.process.argv", "cannot execute /nowhere/server: No such file or directory"},
      {"not executable", [&](v1::Dna& dna) { dna.mutable_process()->set_argv(0, text_file); },
       "dna.process.argv", "Permission denied"},
      {"no directory",
       [](v1::Dna& dna) { dna.mutable_process()->set_working_directory("/nowhere"); },
       "dna.process.working_directory", "cannot enter /nowhere: No such file or directory"},
      {"no secret",
       [](v1::Dna& dna) {
         v1::Secret& secret = *dna.mutable_security()->add_secrets();
         secret.set_environment_variable("TOKEN");
         secret.set_source_file("/nowhere/token");
       },
       "dna.security.secrets[TOKEN].source_file", "cannot open /nowhere/token"},
      {"a directory as secret",
       [](v1::Dna& dna) {
         v1::Secret& secret = *dna.mutable_security()->add_secrets();
         secret.set_environment_variable("TOKEN");
         secret.set_source_file("/");
       },
       "dna.security.secrets[TOKEN].source_file", "not a regular file"},
      {"no user", [](v1::Dna& dna) { dna.mutable_security()->set_user("no-such-user-here"); },
       "dna.security.user", "there is no user"},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CompiledDna dna = TestDna();
    row.change(dna.dna);
    const InstanceSpec instance = TestInstance("a1", dna);
    const absl::Status status = Create(world.provider(), instance);
    INFO(status.ToString());
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(ErrorField(status) == row.field);
    CHECK(std::string(status.message()).find(row.problem) != std::string::npos);
    CHECK(Look(world.provider(), instance).life == Life::kAbsent);
    const auto all = world.provider().List();
    REQUIRE(all.ok());
    CHECK(all->empty());
  }
}

TEST_CASE("a secret shows in no observation, record or error") {
  ProcessWorld world;
  const std::string content = "line-one-of-it\nline-two-of-it";
  WriteFile(world.directory() / "token", content + "\n");
  CompiledDna dna = Shell("echo before; printf '%s\\n' \"$TOKEN\"; echo \"x${TOKEN}y\"; exit 1");
  v1::Secret& secret = *dna.dna.mutable_security()->add_secrets();
  secret.set_environment_variable("TOKEN");
  secret.set_source_file(world.directory() / "token");
  const InstanceSpec instance = TestInstance("a1", dna);
  // The secret is clearly older than the instance, also by the file system's coarse clock.
  REQUIRE(PollUntil(kPatience, [&] {
    const std::string probe = world.directory() / "probe";
    WriteFile(probe, "");
    const auto age = std::filesystem::last_write_time(probe) -
                     std::filesystem::last_write_time(world.directory() / "token");
    return age > std::chrono::milliseconds(50);
  }));
  const auto shows = [](const std::string& text) {
    return text.find("line-one") != std::string::npos || text.find("line-two") != std::string::npos;
  };
  REQUIRE(shows(OutputOf(world, instance)));  // It does print it, into its own file.
  const std::string reason = Look(world.provider(), instance).exit_reason;
  INFO(reason);
  CHECK_FALSE(shows(reason));
  CHECK(reason.starts_with("exit status 1; last output: "));
  CHECK_FALSE(shows(ReadText(world.RecordPath("a1"))));
  const auto all = world.provider().List();
  REQUIRE(all.ok());
  CHECK_FALSE(shows(all->front().exit_reason));

  // Once the file has changed nobody knows any more what to hide.
  WriteFile(world.directory() / "token", "another\n");
  CHECK(Look(world.provider(), instance).exit_reason ==
        "exit status 1; last output withheld: it may show a secret");
}

TEST_CASE("the log holds the last lines, and is the daemon's alone") {
  ProcessWorld world;
  world.log_max_bytes = 4000;
  world.Reopen();
  const InstanceSpec instance = TestInstance(
      "a1", Shell("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; "
                  "while [ ! -e \"$GO\" ]; do sleep 0.01; done; echo the end; sleep 1000"));
  CompiledDna dna = *instance.dna;
  (*dna.dna.mutable_process()->mutable_environment())["GO"] = world.directory() / "go";
  const InstanceSpec writer = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), writer).ok());
  REQUIRE(
      PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")).ends_with("line 1999\n"); }));
  const std::string cut = ReadText(world.LogPath("a1"));
  CHECK(cut.size() <= 4000);
  CHECK(cut.size() > 1900);
  CHECK(cut.starts_with("line "));
  CHECK(cut.ends_with("line 1999\n"));
  WriteFile(world.directory() / "go", "");
  CHECK(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == cut + "the end\n"; }));
  CHECK((std::filesystem::status(world.LogPath("a1")).permissions() &
         std::filesystem::perms::all) == std::filesystem::perms(0600));
}

// Listens on 127.0.0.1:`port`, for as long as it lives; fd -1 where somebody else does.
struct Listener {
  explicit Listener(int port) : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(fd, 1) != 0) {
      close(fd);
      fd = -1;
    }
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

TEST_CASE("a port that is listened on or recorded is not given again") {
  ProcessWorld world;
  CompiledDna dna = TestDna();
  dna.dna.mutable_network()->set_port_min(19200);
  dna.dna.mutable_network()->set_port_max(19202);
  const Listener taken(19201);
  REQUIRE(taken.fd >= 0);
  const InstanceSpec one = TestInstance("a1", dna);
  const InstanceSpec two = TestInstance("a2", dna);
  REQUIRE(Create(world.provider(), one).ok());
  REQUIRE(Create(world.provider(), two).ok());
  CHECK(std::set<std::string>{Look(world.provider(), one).address,
                              Look(world.provider(), two).address} ==
        std::set<std::string>{"127.0.0.1:19200", "127.0.0.1:19202"});
  const absl::Status third = Create(world.provider(), TestInstance("a3", dna));
  CHECK(absl::IsResourceExhausted(third));
  CHECK(third.message() == "no free port in 19200 to 19202");
  REQUIRE(Kill(world.provider(), one).ok());
  REQUIRE(Becomes(world.provider(), one, Life::kAbsent));
  CHECK(Create(world.provider(), TestInstance("a3", dna)).ok());
}

TEST_CASE("the instances' directory is the daemon's alone") {
  const ProcessWorld world;
  CHECK((std::filesystem::status(world.directory() / "instances").permissions() &
         std::filesystem::perms::all) == std::filesystem::perms(0700));
  const TemporaryDirectory other;
  WriteFile(other / "instances", "");
  SystemClock clock;
  const auto refused = ProcessProvider::Open({.state_dir = other.path(),
                                              .store_id = "s",
                                              .epoch = "s/1",
                                              .log_max_bytes = 1000,
                                              .clock = clock});
  CHECK(absl::IsFailedPrecondition(refused.status()));
}

}  // namespace
}  // namespace shadow
