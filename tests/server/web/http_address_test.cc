#include "server/web/http_address.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/fakes/loopback_socket.h"

namespace shadow {
namespace {

// A socket's path in a directory of its own.
class SocketPlace {
 public:
  SocketPlace() { REQUIRE(mkdtemp(directory_.data()) != nullptr); }
  SocketPlace(const SocketPlace&) = delete;
  SocketPlace& operator=(const SocketPlace&) = delete;
  ~SocketPlace() { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/http.sock"; }
  HttpAddress address() const { return *ParseHttpAddress("unix:" + path()); }

 private:
  std::string directory_ = "/tmp/shadow-http-XXXXXX";
};

}  // namespace

TEST_CASE("HTTP listens on the loopback interface or a Unix socket, and nowhere else") {
  for (const char* good : {"127.0.0.1:9464", "127.8.0.1:1", "[::1]:9464", "127.0.0.1:0",
                           "127.0.0.1:65535", "unix:/run/shadowd/http.sock"}) {
    INFO(good);
    CHECK(ParseHttpAddress(good).ok());
  }
  for (const char* bad :
       {"", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "0.0.0.0:9464", "10.0.0.1:9464", "[::]:9464", "[2001:db8::1]:9464", "localhost:9464", "::1",
        "[::1]", "unix:", "unix:http.sock", "http://127.0.0.1:9464", "127.0.0.1:9464 "}) {
    INFO(bad);
    const auto parsed = ParseHttpAddress(bad);
    REQUIRE(!parsed.ok());
    CHECK(absl::IsInvalidArgument(parsed.status()));
    CHECK(std::string(parsed.status().message()).find("http_listen") == 0);
  }
  CHECK(!ParseHttpAddress("unix:/" + std::string(200, 'x')).ok());
}

TEST_CASE("only a Host header of the loopback interface is meant for this server") {
  for (const char* good : {"localhost", "localhost:9464", "127.0.0.1", "127.0.0.1:9464", "[::1]",
                           "[::1]:9464", "127.1.2.3:80"}) {
    INFO(good);
    CHECK(IsLoopbackHost(good));
  }
  for (const char* bad : {"", "rebound.example", "rebound.example:9464", "localhost.example",
                          "127.0.0.1.example", "10.0.0.1", "[::2]:9464", "0.0.0.0"}) {
    INFO(bad);
    CHECK(!IsLoopbackHost(bad));
  }
}

TEST_CASE("an HTTP socket that nobody serves is replaced, one that is served is not") {
  const SocketPlace place;
  {
    const auto first = ListenAt(place.address());
    REQUIRE(first.ok());
    const TestSocket served(*first);
    CHECK(NameOfListener(served.fd()) == "unix:" + place.path());
    CHECK(absl::IsAlreadyExists(ListenAt(place.address()).status()));
    struct stat status {};
    REQUIRE(stat(place.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
  }
  const auto second = ListenAt(place.address());  // The file of the first one is still there.
  REQUIRE(second.ok());
  const TestSocket served(*second);
}

TEST_CASE("an HTTP socket replaces no file of another kind") {
  const SocketPlace place;
  const TestSocket file(open(place.path().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  REQUIRE(file);
  const auto listening = ListenAt(place.address());
  CHECK(absl::IsInvalidArgument(listening.status()));
  CHECK(std::filesystem::is_regular_file(place.path()));
}

}  // namespace shadow
