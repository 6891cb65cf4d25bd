// Which process has connected: an instance's, or another's.
#include "server/providers/look/instance_callers.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/holder/interface.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr char kCallersStore[] = "5d3c1f0a-7b2e-4c11-9a55-0123456789ab";

// A Unix socket, and processes that connect to it.
class CalledSocket {
 public:
  CalledSocket() : listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = Address();
    REQUIRE(bind(listening_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
            0);
    REQUIRE(listen(listening_.fd(), 8) == 0);
  }
  CalledSocket(const CalledSocket&) = delete;
  CalledSocket& operator=(const CalledSocket&) = delete;
  ~CalledSocket() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  // Connects this very process.
  TestSocket ConnectHere() {
    client_ = TestSocket(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(Connect(client_.fd()));
    return Accept();
  }

  // Connects a child of this process, which then does nothing; or a process that has lost its
  // parent, which ends at once with `ends`.
  TestSocket ConnectChild() {
    const pid_t pid = fork();
    if (pid == 0) ConnectAndWait();
    return Accept();
  }
  TestSocket ConnectOrphan(bool ends = false) {
    const pid_t parent = fork();
    if (parent == 0) {
      if (fork() != 0) _exit(0);
      if (ends) {
        Connect(socket(AF_UNIX, SOCK_STREAM, 0));
        _exit(0);
      }
      ConnectAndWait();
    }
    waitpid(parent, nullptr, 0);
    return Accept();
  }

  // Connects an orphan that Python runs, below a shell, each with an environment of its own.
  TestSocket ConnectBelowShell(const std::string& of_shell, const std::string& of_caller) {
    const std::string python = "import socket,time\ns=socket.socket(socket.AF_UNIX)\ns.connect('" +
                               Path() + "')\ntime.sleep(60)\n";
    const std::string script =
        "/usr/bin/env -i " + of_caller + " /usr/bin/python3 -c \"" + python + "\" & wait";
    const pid_t parent = fork();
    if (parent == 0) {
      if (fork() != 0) _exit(0);
      char* const environment[] = {const_cast<char*>(of_shell.c_str()), nullptr};
      execle("/bin/sh", "sh", "-c", script.c_str(), nullptr, environment);
      _exit(127);
    }
    waitpid(parent, nullptr, 0);
    return Accept();
  }

  InstanceCallers Callers() const {
    return {kCallersStore, RecordDirectory::Open(directory_.path()).value()};
  }

 private:
  std::string Path() const { return directory_.File("called"); }
  sockaddr_un Address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Path().c_str(), sizeof(address.sun_path) - 1);
    return address;
  }
  bool Connect(int fd) const {
    const sockaddr_un address = Address();
    return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  [[noreturn]] void ConnectAndWait() const {
    if (!Connect(socket(AF_UNIX, SOCK_STREAM, 0))) _exit(1);
    while (true) pause();
  }
  TestSocket Accept() {
    TestSocket accepted(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
    ucred peer{};
    socklen_t length = sizeof(peer);
    REQUIRE(getsockopt(accepted.fd(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
    if (peer.pid != getpid()) pids_.push_back(peer.pid);
    return accepted;
  }

  const TempDirectory directory_;
  TestSocket listening_;
  TestSocket client_;
  std::vector<pid_t> pids_;
};

}  // namespace

TEST_CASE("a caller that is no process of an instance is none") {
  CalledSocket called;
  const InstanceCallers callers = called.Callers();
  CHECK_FALSE(callers.MayBe(called.ConnectHere().fd()));
  const TestSocket orphan = called.ConnectOrphan();
  CHECK_FALSE(callers.MayBe(orphan.fd()));
  const TestSocket foreign = called.ConnectBelowShell("SHADOWD_HOLDS=other/epoch i1", "A=b");
  CHECK_FALSE(callers.MayBe(foreign.fd()));
}

TEST_CASE(
    "a process below a holder or the daemon, or with the tag of an instance, is an instance") {
  CalledSocket called;
  const InstanceCallers callers = called.Callers();
  const TestSocket child = called.ConnectChild();
  CHECK(callers.MayBe(child.fd()));
  const std::string store = kCallersStore;
  const std::string variable = kHoldsVariable;
  for (const std::string& holds : {store + "/epoch i1", store + " i1"}) {
    const TestSocket below = called.ConnectBelowShell(variable + "=" + holds, "A=b");
    CHECK(callers.MayBe(below.fd()));
  }
  const TestSocket tagged = called.ConnectBelowShell("A=b", "SHADOWD_STORE=" + store);
  CHECK(callers.MayBe(tagged.fd()));
}

TEST_CASE("a caller that has ended may have been an instance, as far as its user may be one") {
  CalledSocket called;
  const TestSocket gone = called.ConnectOrphan(true);
  // Its end of the connection closes as it ends; what is left of it goes soon after.
  std::string bytes;
  CHECK_FALSE(ReceiveMore(gone, bytes));
  CHECK(PollUntil(kPatience, [&] { return called.Callers().MayBe(gone.fd()); }));
}

}  // namespace shadow
