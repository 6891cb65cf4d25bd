#include "server/api/readers/frame_guard.h"

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>

#include "tests/fakes/http2_client.h"

namespace shadow {
namespace {

using http2::Frame;

std::string Begun(uint32_t stream, uint8_t flags = http2::kEndHeaders) {
  return Frame(http2::kHeaders, flags, stream, "headers");
}

// A connection that has begun as it must.
struct Connection {
  explicit Connection(ReaderShare& share) : guard(share) {
    REQUIRE(guard.FromClient(http2::Preface() + http2::SettingsAck()).ok());
  }
  FrameGuard guard;
};

TEST_CASE("calls hold their share until they end, by whichever side") {
  ReaderShare share;
  Connection connection(share);
  const std::string body(1000, 'x');
  REQUIRE(connection.guard
              .FromClient(Begun(1) + Frame(http2::kData, http2::kEndStream, 1, body) + Begun(3) +
                          Frame(http2::kData, 0, 3, body) + Begun(5))
              .ok());
  CHECK(share.streams == 3);
  CHECK(share.request_bytes == 2000);
  connection.guard.FromServer(Frame(http2::kSettings, 0, 0, "") +
                              Frame(http2::kHeaders, http2::kEndHeaders, 1, "h") +
                              Frame(http2::kData, 0, 1, body));
  CHECK(share.streams == 3);
  connection.guard.FromServer(Frame(http2::kHeaders, http2::kEndStream, 1, "trailers"));
  CHECK(share.streams == 2);
  CHECK(share.request_bytes == 1000);
  REQUIRE(connection.guard.FromClient(Frame(http2::kResetStream, 0, 3, "code")).ok());
  connection.guard.FromServer(Frame(http2::kResetStream, 0, 5, "code"));
  CHECK(share.streams == 0);
  CHECK(share.request_bytes == 0);
}

TEST_CASE("a connection that ends gives back what its calls held") {
  ReaderShare share;
  auto connection = std::make_unique<Connection>(share);
  REQUIRE(connection->guard.FromClient(Begun(1) + Frame(http2::kData, 0, 1, "12345")).ok());
  CHECK(share.streams == 1);
  connection.reset();
  CHECK(share.streams == 0);
  CHECK(share.request_bytes == 0);
}

TEST_CASE("frames are the same in whatever pieces they come") {
  const std::string bytes = http2::Preface() + http2::SettingsAck() + Begun(1) +
                            Frame(http2::kData, 0, 1, std::string(300, 'x')) + Begun(3);
  for (size_t piece = 1; piece <= 40; ++piece) {
    ReaderShare share;
    FrameGuard guard(share);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      REQUIRE(guard.FromClient(std::string_view(bytes).substr(at, piece)).ok());
    }
    CHECK(share.streams == 2);
    CHECK(share.request_bytes == 300);
  }
}

TEST_CASE("a connection that passes a limit is refused, and the error names it") {
  struct Row {
    const char* named;
    absl::StatusCode code;
    std::function<absl::Status(FrameGuard&)> send;
  };
  const auto repeated = [](FrameGuard& guard, int times, const auto& make) {
    absl::Status status;
    for (int i = 0; status.ok() && i < times; ++i) status = guard.FromClient(make(i));
    return status;
  };
  const std::string opening = http2::Preface();
  const std::string acknowledged = opening + http2::SettingsAck();
  const auto stream = [](int i) { return static_cast<uint32_t>(2 * i + 1); };
  const Row rows[] = {
      {"HTTP/2", absl::StatusCode::kInvalidArgument,
       [](FrameGuard& guard) { return guard.FromClient("GET / HTTP/1.1\r\n\r\n"); }},
      {"16384", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         return guard.FromClient(acknowledged +
                                 Frame(http2::kHeaders, 0, 1, std::string(10'000, 'h')) +
                                 Frame(http2::kContinuation, 0, 1, std::string(10'000, 'h')));
       }},
      {"4 CONTINUATION", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         REQUIRE(guard.FromClient(acknowledged + Frame(http2::kHeaders, 0, 1, "h")).ok());
         return repeated(guard, 5, [](int) { return Frame(http2::kContinuation, 0, 1, "h"); });
       }},
      {"a frame of 16777215 bytes", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         return guard.FromClient(acknowledged + "\xff\xff\xff\x07" + std::string(5, '\0'));
       }},
      {"SETTINGS", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         REQUIRE(guard.FromClient(opening).ok());
         return repeated(guard, 9, [&](int i) { return Begun(stream(i)); });
       }},
      {"128 calls", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         REQUIRE(guard.FromClient(acknowledged).ok());
         return repeated(guard, 129, [&](int i) { return Begun(stream(i)); });
       }},
      {"6291456 bytes", absl::StatusCode::kResourceExhausted,
       [&](FrameGuard& guard) {
         REQUIRE(guard.FromClient(acknowledged + Begun(1) + Begun(3)).ok());
         return repeated(guard, 385, [](int i) {
           return Frame(http2::kData, 0, i % 2 == 0 ? 1 : 3, std::string(16'384, 'x'));
         });
       }},
  };
  for (const Row& row : rows) {
    INFO(row.named);
    ReaderShare share;
    FrameGuard guard(share);
    const absl::Status status = row.send(guard);
    CHECK(status.code() == row.code);
    CHECK(std::string(status.message()).find(row.named) != std::string::npos);
  }
}

TEST_CASE("what a frame costs is spent from the share, which fills with time") {
  ReaderShare share;
  share.Refill(absl::Seconds(1));
  CHECK(share.units == ReaderShare::kUnitsMax);
  Connection connection(share);
  const double before = share.units;
  std::string resets;
  for (uint32_t i = 0; i < 1000; ++i) {
    resets += Begun(2 * i + 1) + Frame(http2::kResetStream, 0, 2 * i + 1, "code");
  }
  REQUIRE(connection.guard.FromClient(resets).ok());
  CHECK(share.units == before - 20 * 1000);
  CHECK(share.streams == 0);
  REQUIRE(connection.guard.FromClient(Frame(http2::kPing, 0, 0, "12345678")).ok());
  // 15 units are missing, 20,000 come a second.
  CHECK(share.Wait() == absl::Seconds(15.0 / 20'000));
  share.Refill(absl::Seconds(1) + absl::Milliseconds(1));
  CHECK(share.Wait() == absl::ZeroDuration());
  share.Refill(absl::Seconds(100));
  CHECK(share.units == ReaderShare::kUnitsMax);
}

}  // namespace
}  // namespace shadow
