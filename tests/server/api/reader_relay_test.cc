#include "server/api/readers/reader_relay.h"

#include <fcntl.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <string>

#include "server/api/access/access.h"
#include "tests/fakes/http2_client.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

constexpr uid_t kUser = 1234;

// A relay of few connections; it outlives no clock.
struct FewReaders {
  FewReaders(const ReaderRelay::Limits& limits, Clock& clock) : relay(limits, access, clock) {}

  Access access;
  ReaderRelay relay;
};

// A client and, if it was accepted, what gRPC would read from.
struct Ends {
  Ends(FewReaders& readers, uid_t uid) {
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    client = TestSocket(pair[0]);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    const auto added = readers.relay.Add(pair[1], {.uid = uid});
    status = added.status();
    if (added.ok()) server = TestSocket(*added);
    if (server) fcntl(server.fd(), F_SETFL, 0);  // gRPC would have it not block.
  }

  TestSocket client;
  TestSocket server;
  absl::Status status;
};

// What has come, once `bytes` of it have.
std::string Received(const TestSocket& socket, size_t bytes) {
  std::string all;
  PollUntil(kPatience, [&] {
    char part[65536];
    const ssize_t got = recv(socket.fd(), part, sizeof(part), MSG_DONTWAIT);
    if (got > 0) all.append(part, static_cast<size_t>(got));
    return got == 0 || all.size() >= bytes;
  });
  return all;
}

TEST_CASE("bytes pass both ways, more than any buffer holds") {
  SystemClock clock;
  FewReaders relay({.connections = 4, .connections_of_user = 2}, clock);
  const Ends ends(relay, kUser);
  REQUIRE(ends.status.ok());
  std::string sent = http2::Preface() + http2::SettingsAck() +
                     http2::Frame(http2::kHeaders, http2::kEndHeaders, 1, "h");
  for (int i = 0; i < 64; ++i) sent += http2::Frame(http2::kData, 0, 1, std::string(16'000, 'x'));
  std::thread client([&] { http2::Send(ends.client, sent); });
  CHECK((Received(ends.server, sent.size()) == sent));
  client.join();
  std::string answer;
  for (int i = 0; i < 64; ++i) answer += http2::Frame(http2::kData, 0, 1, std::string(16'000, 'y'));
  std::thread server([&] { http2::Send(ends.server, answer); });
  CHECK((Received(ends.client, answer.size()) == answer));
  server.join();
}

TEST_CASE("the address of what gRPC reads from tells the caller, while the connection lasts") {
  SystemClock clock;
  FewReaders relay({.connections = 4, .connections_of_user = 2}, clock);
  Ends ends(relay, kUser);
  REQUIRE(ends.status.ok());
  sockaddr_un address{};
  socklen_t length = sizeof(address);
  REQUIRE(getpeername(ends.server.fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const std::string name(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
  CHECK(relay.access.Find("unix-abstract:" + name) == Caller{.uid = kUser});
  CHECK(relay.access.Find("unix:") == Caller{});
  ends.client.Close();
  CHECK(PollUntil(kPatience, [&] { return relay.access.Find(name) == Caller{}; }));
}

TEST_CASE("the end of one side is the end of the other, after its last words") {
  SystemClock clock;
  FewReaders relay({.connections = 4, .connections_of_user = 2}, clock);
  Ends gone(relay, kUser);
  gone.client.Close();
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(gone.server); }));
  Ends ended(relay, kUser);
  REQUIRE(http2::Send(ended.server, "last words"));
  ended.server.Close();
  CHECK(Received(ended.client, 100) == "last words");
}

TEST_CASE("a user has few connections, and has them again once they are closed") {
  SystemClock clock;
  FewReaders relay({.connections = 5, .connections_of_user = 2}, clock);
  Ends first(relay, kUser);
  const Ends second(relay, kUser);
  REQUIRE(second.status.ok());
  const Ends third(relay, kUser);
  CHECK(absl::IsResourceExhausted(third.status));
  CHECK(http2::Closed(third.client));
  const Ends other(relay, kUser + 1);
  CHECK(other.status.ok());
  first.client.Close();
  CHECK(PollUntil(kPatience, [&] { return Ends(relay, kUser).status.ok(); }));
}

TEST_CASE("all readers together have few connections too") {
  SystemClock clock;
  FewReaders relay({.connections = 2, .connections_of_user = 2}, clock);
  const Ends first(relay, kUser);
  const Ends second(relay, kUser + 1);
  CHECK(absl::IsResourceExhausted(Ends(relay, kUser + 2).status));
  CHECK(ReaderRelay::LimitsOf(1'000'000).connections == 256);
  CHECK(ReaderRelay::LimitsOf(1'000'000).connections_of_user == 32);
  CHECK(ReaderRelay::LimitsOf(64).connections == 5);
  CHECK(ReaderRelay::LimitsOf(64).connections_of_user == 2);
}

TEST_CASE("a connection that passes a limit is closed, and others of the user go on") {
  SystemClock clock;
  FewReaders relay({.connections = 4, .connections_of_user = 2}, clock);
  const Ends bad(relay, kUser);
  const Ends good(relay, kUser);
  http2::Send(bad.client, "GET / HTTP/1.1\r\n\r\n");
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(bad.client); }));
  CHECK(http2::Closed(bad.server));
  const std::string opening = http2::Preface();
  REQUIRE(http2::Send(good.client, opening));
  CHECK(Received(good.server, opening.size()) == opening);
}

TEST_CASE("a user who asks for too much work is read from slowly, and nobody else is") {
  ManualClock clock;
  FewReaders relay({.connections = 4, .connections_of_user = 2}, clock);
  const Ends greedy(relay, kUser);
  const Ends modest(relay, kUser + 1);
  // 20,000 units are there, a ping costs 5.
  std::string pings = http2::Preface();
  for (int i = 0; i < 6000; ++i) pings += http2::Frame(http2::kPing, 0, 0, "12345678");
  std::thread client([&] { http2::Send(greedy.client, pings); });
  const size_t passed = 4000 * http2::Frame(http2::kPing, 0, 0, "12345678").size();
  std::string received = Received(greedy.server, passed - (16 << 10));
  const std::string opening = http2::Preface();
  REQUIRE(http2::Send(modest.client, opening));
  CHECK(Received(modest.server, opening.size()) == opening);
  CHECK(received.size() < pings.size());
  clock.Advance(absl::Seconds(1));
  received += Received(greedy.server, pings.size() - received.size());
  CHECK((received == pings));
  client.join();
}

}  // namespace
}  // namespace shadow
