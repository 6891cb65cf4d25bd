// The daemon on a socket that systemd has made and keeps.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/shadow_world.h"
#include "tests/fakes/http2_client.h"
#include "tests/fakes/loopback_socket.h"

namespace shadow {
namespace {

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

TestSocket BoundTo(const std::string& path, int type) {
  TestSocket fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = UnixAddress(path);
  REQUIRE(bind(fd.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

TestSocket ListeningOn(const std::string& path) {
  TestSocket fd = BoundTo(path, SOCK_STREAM);
  REQUIRE(listen(fd.fd(), 16) == 0);
  return fd;
}

// A client that has connected and waits for the daemon's first frame.
TestSocket ConnectedTo(const std::string& path) {
  TestSocket fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = UnixAddress(path);
  const timeval patience = absl::ToTimeval(kPatience);
  setsockopt(fd.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  REQUIRE(connect(fd.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(
      SendAll(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2::Frame(http2::kSettings, 0, 0, "")));
  return fd;
}

}  // namespace

TEST_CASE("a client that connects while the daemon restarts waits for it, and is served") {
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  CHECK_FALSE(std::filesystem::exists(daemon.socket_path()));
  const TestSocket kept = ListeningOn(daemon.socket_path());
  daemon.passed_fds = {kept.fd()};
  for (const bool killed : {false, true}) {
    const TestSocket early = ConnectedTo(daemon.socket_path());
    daemon.Start();
    std::string answer;
    CHECK(ReceiveMore(early, answer));
    CHECK(DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {}).ok());
    if (killed) {
      daemon.Kill();
    } else {
      CHECK(daemon.Terminate() == 0);
    }
    CHECK(std::filesystem::exists(daemon.socket_path()));
    ConnectedTo(daemon.socket_path());  // It still listens.
  }
  CHECK(daemon.Log().find("listening on " + daemon.socket_path() + " of systemd") !=
        std::string::npos);
}

TEST_CASE("what systemd passes and is no listening Unix socket is refused by name") {
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  const std::string path = daemon.directory() + "/other";
  const TestSocket first = ListeningOn(path + "1");
  const TestSocket second = ListeningOn(path + "2");
  const TestSocket quiet = BoundTo(path + "3", SOCK_STREAM);
  const TestSocket datagrams = BoundTo(path + "4", SOCK_DGRAM);
  const TestSocket tcp = ListenOnLoopback(0);
  const TestSocket nameless(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un any = UnixAddress("");  // The kernel gives it an abstract name.
  REQUIRE(bind(nameless.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof(sa_family_t)) == 0);
  REQUIRE(listen(nameless.fd(), 16) == 0);
  const TestSocket file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  struct Case {
    std::vector<int> passed;
    std::string found;
  };
  for (const Case& one : std::vector<Case>{{{first.fd(), second.fd()}, "found 2 descriptors"},
                                           {{quiet.fd()}, "found a socket that does not listen"},
                                           {{datagrams.fd()}, "found a socket of another type"},
                                           {{tcp.fd()}, "found a socket of another family"},
                                           {{nameless.fd()}, "found a socket without a path"},
                                           {{file.fd()}, "found no socket"}}) {
    INFO(one.found);
    daemon.passed_fds = one.passed;
    CHECK(daemon.StartInVain() == 78);
    CHECK(daemon.Log().find("LISTEN_FDS: wanted one listening Unix stream socket") !=
          std::string::npos);
    CHECK(daemon.Log().find(one.found) != std::string::npos);
  }
}

}  // namespace shadow
