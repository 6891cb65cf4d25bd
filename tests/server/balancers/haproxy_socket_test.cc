#include "server/balancers/haproxy_socket.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <thread>

#include "server/balancers/haproxy_balancer.h"
#include "tests/fakes/assigned_members.h"
#include "tests/server/balancers/unix_peer.h"

namespace shadow {
namespace {

using Replies = std::vector<std::string>;

class SocketTest {
 public:
  absl::StatusOr<Replies> Run(const std::string& path, const std::vector<std::string>& commands) {
    const HaproxySocket socket(path, clock_);
    return socket.Run(commands, socket.Deadline());
  }
  absl::Duration Mono() const { return clock_.Now().mono; }

 private:
  SystemClock clock_;
};

TEST_CASE_METHOD(SocketTest, "each command gets its own reply") {
  const UnixPeer peer(UnixPeer::Answer("\n1\n# a b\nx y\n\n\nNo such server.\n\n"));
  const auto replies = Run(peer.path(), {"set a", "show b", "set c", "set d"});
  REQUIRE(replies.ok());
  CHECK(*replies == Replies{"", "1\n# a b\nx y\n", "", "No such server.\n"});
}

TEST_CASE_METHOD(SocketTest, "commands go out in one line") {
  const UnixPeer peer([](const UnixPeer&, const TestSocket& socket, const std::string& line) {
    SendAll(socket, line + "\n\n");
  });
  const auto replies = Run(peer.path(), {"show info", "show stat"});
  REQUIRE(replies.ok());
  CHECK(*replies == Replies{"show info;show stat\n", ""});
}

TEST_CASE_METHOD(SocketTest, "a command cannot smuggle in another one") {
  const UnixPeer peer(UnixPeer::Answer("\n"));
  for (const char* command :
       {"show info;shutdown frontend f", "a\nb", "a\rb", "a\\;b", "", "a\tb"}) {
    INFO(command);
    CHECK(Run(peer.path(), {command}).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(peer.lines() == 0);
}

TEST_CASE_METHOD(SocketTest, "what is not one reply per command is an error that quotes it") {
  for (const char* text :
       {"", "\n\n", "cut off", "cut off\n", "a\n\nb\n\n", "\x01\xff<script>\n"}) {
    INFO(text);
    const UnixPeer peer(UnixPeer::Answer(text));
    const absl::Status status = Run(peer.path(), {"show info"}).status();
    CHECK(status.code() == absl::StatusCode::kInternal);
    CHECK(std::string(status.message()).find(peer.path()) != std::string::npos);
    for (const char c : status.message()) CHECK((c >= ' ' && c <= '~'));
  }
}

TEST_CASE_METHOD(SocketTest,
                 "a missing socket, a file and a dead socket are unavailable, by name") {
  std::string dead;
  {
    const UnixPeer peer(UnixPeer::Answer("\n"));
    dead = peer.path();
  }
  for (const std::string& path : {dead, std::string("/nonexistent/haproxy.sock")}) {
    const absl::Status status = Run(path, {"show info"}).status();
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK(std::string(status.message()).find(path) != std::string::npos);
  }
  CHECK(Run("/dev/null", {"show info"}).status().code() == absl::StatusCode::kUnavailable);
  CHECK(Run("", {"show info"}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(Run("/" + std::string(200, 'x'), {"show info"}).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE_METHOD(SocketTest, "a peer that accepts and never answers costs two seconds, no more") {
  const UnixPeer peer([](const UnixPeer&, const TestSocket& socket, const std::string&) {
    std::string rest;
    ReceiveMore(socket, rest);  // Until the client hangs up.
  });
  const absl::Duration before = Mono();
  CHECK(Run(peer.path(), {"show info"}).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(Mono() - before >= absl::Milliseconds(1900));
  CHECK(Mono() - before < absl::Seconds(3));
}

TEST_CASE_METHOD(SocketTest, "a peer that drips bytes for ever is cut off at the deadline") {
  const UnixPeer peer([](const UnixPeer&, const TestSocket& socket, const std::string&) {
    while (SendAll(socket, "x")) std::this_thread::yield();
  });
  const absl::Duration before = Mono();
  const absl::Status status = Run(peer.path(), {"show info"}).status();
  // Whichever comes first: the deadline or the cap.
  CHECK((status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kInternal));
  CHECK(Mono() - before < absl::Seconds(3));
}

TEST_CASE_METHOD(SocketTest, "endless data ends at the cap") {
  const UnixPeer peer([](const UnixPeer&, const TestSocket& socket, const std::string&) {
    const std::string block(1 << 20, 'x');
    while (SendAll(socket, block)) {
    }
  });
  const absl::Status status = Run(peer.path(), {"show info"}).status();
  CHECK(status.code() == absl::StatusCode::kInternal);
  CHECK(std::string(status.message()).find("longer than") != std::string::npos);
}

TEST_CASE("a balancer behind a silent peer returns within two seconds from every verb") {
  const UnixPeer peer([](const UnixPeer&, const TestSocket& socket, const std::string&) {
    std::string rest;
    ReceiveMore(socket, rest);
  });
  SystemClock clock;
  v1::HaproxyBalancer spec;
  spec.set_socket_path(peer.path());
  spec.set_backend("web");
  HaproxyBalancer balancer(spec, clock);
  AssignedMembers members(balancer);
  const auto timed = [&](const std::function<absl::Status()>& call) {
    const absl::Duration before = clock.Now().mono;
    CHECK(call().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(clock.Now().mono - before < absl::Seconds(3));
  };
  timed([&] { return members.Add("127.0.0.1:1"); });
  timed([&] { return members.Remove("127.0.0.1:1"); });
  timed([&] { return balancer.View().status(); });
}

TEST_CASE("a balancer tells garbage from an empty backend") {
  SystemClock clock;
  for (const char* text : {"garbage\n\n\n\n\n", "1\n# srv_name\nslot1\n\n\n\n\n", "\n\n\n\n"}) {
    const UnixPeer peer(UnixPeer::Answer(text));
    v1::HaproxyBalancer spec;
    spec.set_socket_path(peer.path());
    spec.set_backend("web");
    HaproxyBalancer balancer(spec, clock);
    AssignedMembers members(balancer);
    INFO(text);
    CHECK(balancer.View().status().code() == absl::StatusCode::kInternal);
    CHECK(members.Add("127.0.0.1:1").code() == absl::StatusCode::kInternal);
    CHECK(members.Remove("127.0.0.1:1").code() == absl::StatusCode::kInternal);
  }
}

}  // namespace
}  // namespace shadow
