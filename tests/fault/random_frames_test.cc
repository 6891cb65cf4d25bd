// A reader whose bytes are no HTTP/2, or almost: at most the connection ends.
#include <cstdint>
#include <random>
#include <string>

#include "tests/fakes/random_seed.h"
#include "tests/fault/hostile_reader.h"

namespace shadow {
namespace {

std::string RandomBytes(std::mt19937_64& random, size_t bytes_max) {
  std::string bytes(random() % (bytes_max + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Of any type, with flags and a stream that it may not have; every other one is damaged.
std::string RandomFrame(std::mt19937_64& random) {
  constexpr int kTypes = 12;  // HTTP/2 knows ten.
  const auto type = static_cast<uint8_t>(random() % kTypes);
  const auto stream = static_cast<uint32_t>(random() % 16);
  std::string payload = RandomBytes(random, 200);
  if (type == http2::kHeaders) payload = http2::CallHeaders("/shadow.v1.EventService/Watch");
  if (type == http2::kData && random() % 2 == 0) payload = http2::Message(0, "");
  std::string frame = http2::Frame(type, static_cast<uint8_t>(random()), stream, payload);
  if (random() % 2 == 0) frame[random() % frame.size()] ^= static_cast<char>(1 << random() % 8);
  return frame;
}

TEST_CASE("random frames end their connection and nothing else") {
  if (NotRoot()) return;
  constexpr int kConnections = 300;
  constexpr uint32_t kUsers = 8;
  constexpr uint64_t kFramesMax = 40;  // Of one connection.
  Tally tally("random frames", "connections");
  std::mt19937_64 random(RandomSeed());
  DaemonProcess daemon(SHADOW_BIN_DIR);
  const int64_t descriptors = DescriptorsBefore(daemon);
  const int64_t before_mb = ResidentMb(daemon);
  int ended = 0;
  for (uint32_t i = 0; i < kConnections; ++i) {
    const TestSocket socket = Reader(daemon, kReaderUid + i % kUsers);
    REQUIRE(socket);
    std::string bytes;
    if (random() % 8 != 0) bytes += http2::Preface();
    if (random() % 2 == 0) bytes += http2::SettingsAck();
    for (uint64_t frames = random() % (kFramesMax + 1); frames > 0; --frames) {
      bytes += RandomFrame(random);
    }
    http2::Send(socket, bytes);
    shutdown(socket.fd(), SHUT_WR);
    if (PollUntil(kSoon, [&] { return http2::Closed(socket); })) ++ended;
  }
  tally.Try(kConnections);
  tally.Leak(kConnections - ended);
  CountAdminCalls(daemon, tally);
  CHECK(ResidentMb(daemon) - before_mb < 64);
  // None of them is left in the share of a user.
  for (uint32_t user = 0; user < kUsers; ++user) {
    // Its share is given back when both sides of the relay have seen the end.
    CHECK(PollUntil(kSoon, [&] {
      const TestSocket socket = Reader(daemon, kReaderUid + user);
      http2::Send(socket, http2::Preface());
      char first = 0;  // Of the server's settings.
      return recv(socket.fd(), &first, 1, 0) == 1;
    }));
  }
  CountDescriptors(daemon, descriptors, tally);
}

}  // namespace
}  // namespace shadow
