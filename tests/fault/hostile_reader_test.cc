// What a user who may only read does to the daemon: others do not notice, and memory is bounded.
#include "tests/fault/hostile_reader.h"

#include <grpcpp/create_channel_posix.h>

#include "tests/e2e/shadow_world.h"

namespace shadow {
namespace {

using http2::Frame;

constexpr char kListEvents[] = "/shadow.v1.EventService/ListEvents";

TEST_CASE("a flood of idle connections keeps no administrator out") {
  if (NotRoot()) return;
  Tally tally("idle connections", "connections");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  daemon.open_files_max = 64;
  daemon.Start();
  const int64_t descriptors = DescriptorsBefore(daemon);
  std::vector<TestSocket> flood;
  for (int i = 0; i < 100; ++i, tally.Try()) flood.push_back(Reader(daemon));
  // 64 / 4 / 3 connections of readers, two of them of one user.
  CHECK(PollUntil(kSoon, [&] {
    return std::count_if(flood.begin(), flood.end(), [](const TestSocket& socket) {
             return socket && !http2::Closed(socket);
           }) == 2;
  }));
  CountAdminCalls(daemon, tally);
  flood.clear();
  CountDescriptors(daemon, descriptors, tally);
}

TEST_CASE("messages that are never completed are not kept") {
  if (NotRoot()) return;
  Tally tally("half-sent messages", "calls");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  const int64_t descriptors = DescriptorsBefore(daemon);
  const int64_t before_mb = ResidentMb(daemon);
  const std::string half = http2::Message(4 << 20, std::string((4 << 20) - 1, '\n'));
  std::vector<TestSocket> connections;
  for (int i = 0; i < 20; ++i) {
    connections.push_back(Reader(daemon));
    std::string calls = http2::Preface() + http2::SettingsAck();
    for (uint32_t call = 0; call < 10; ++call, tally.Try()) {
      calls +=
          Frame(http2::kHeaders, http2::kEndHeaders, 2 * call + 1, http2::CallHeaders(kListEvents));
    }
    http2::Send(connections.back(), calls);
    // Within the window that HTTP/2 gives each call and each connection at its beginning.
    for (uint32_t call = 0; call < 4; ++call) {
      http2::Send(connections.back(), Frame(http2::kData, 0, 2 * call + 1, half.substr(0, 16'000)));
    }
  }
  CountAdminCalls(daemon, tally);
  CHECK(ResidentMb(daemon) - before_mb < 64);
  // 10 calls each, and one user has 128 at one time.
  CHECK(PollUntil(kSoon, [&] {
    return std::count_if(connections.begin(), connections.end(),
                         [](const TestSocket& socket) { return !http2::Closed(socket); }) <= 12;
  }));
  CountAdminCalls(daemon, tally);
  connections.clear();
  CountDescriptors(daemon, descriptors, tally);
}

TEST_CASE("endless headers, streams reset at once and pings cost nobody else anything") {
  if (NotRoot()) return;
  struct Flood {
    const char* name;
    std::string begin;
    std::string again;
    size_t bytes;
    int64_t frames;  // Of `again`.
  };
  std::string resets;
  const std::string call = http2::CallHeaders(kListEvents);
  for (uint32_t i = 0; i < 3000; ++i) {
    resets += Frame(http2::kHeaders, http2::kEndHeaders, 2 * i + 1, call) +
              Frame(http2::kResetStream, 0, 2 * i + 1, http2::BigEndian(8, 4));
  }
  const Flood floods[] = {
      {"CONTINUATION", Frame(http2::kHeaders, 0, 1, "\x82"),
       Frame(http2::kContinuation, 0, 1, std::string(16'000, '\0')), 32 << 20, 1},
      {"resets", http2::SettingsAck(), resets, resets.size(), 6000},
      {"PING", http2::SettingsAck(), Frame(http2::kPing, 0, 0, "12345678"), 200'000, 1},
  };
  for (const Flood& flood : floods) {
    INFO(flood.name);
    Tally tally(std::string("flood of ") + flood.name, "frames");
    DaemonProcess daemon(SHADOW_BIN_DIR);
    const int64_t descriptors = DescriptorsBefore(daemon);
    const int64_t before_mb = ResidentMb(daemon);
    TestSocket reader = http2::Connect(daemon.socket_path(), kReaderUid, 1);
    bool taken = http2::Send(reader, http2::Preface() + flood.begin);
    for (size_t sent = 0; taken && sent < flood.bytes; sent += flood.again.size()) {
      taken = http2::Send(reader, flood.again);
      tally.Try(flood.frames);
    }
    CountAdminCalls(daemon, tally);
    CHECK(ResidentMb(daemon) - before_mb < 64);
    reader.Close();
    CountDescriptors(daemon, descriptors, tally);
  }
}

// A stream of all events, and whether it was granted.
struct Watcher {
  explicit Watcher(v1::EventService::Stub& stub) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    v1::WatchRequest request;
    request.set_since_revision(0);
    reader = stub.Watch(&context, request);
    v1::Event event;
    if (reader->Read(&event)) return;
    status = reader->Finish();
    reader.reset();
  }
  ~Watcher() {
    if (reader == nullptr) return;
    context.TryCancel();
    reader->Finish().error_code();
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;
  grpc::Status status;
};

TEST_CASE("a reader has few watchers, and an administrator has others") {
  if (NotRoot()) return;
  constexpr int kWatchersMax = 64;
  Tally tally("watchers of a reader", "watchers");
  ShadowWorld world({.haproxy = false}, false);
  world.CreateDna();  // So that there is an event.
  const int64_t before_mb = ResidentMb(world.daemon());
  const int64_t descriptors = DescriptorsBefore(world.daemon());
  std::vector<std::unique_ptr<v1::EventService::Stub>> stubs;
  for (int channel = 0; channel < 5; ++channel) {
    const TestSocket socket = Reader(world.daemon());
    REQUIRE(socket);
    stubs.push_back(
        v1::EventService::NewStub(grpc::CreateInsecureChannelFromFd("reader", dup(socket.fd()))));
  }
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 500; ++i, tally.Try()) {
    watchers.push_back(std::make_unique<Watcher>(*stubs[static_cast<size_t>(i % 5)]));
    const grpc::Status& status = watchers.back()->status;
    CHECK(status.ok() == (i < kWatchersMax));
    if (status.ok()) continue;
    CHECK(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    CHECK(status.error_message() == "user 54321 has 64 watchers already");
  }
  tally.Fail(Watcher(world.daemon().events()).status.ok() ? 0 : 1);
  CountAdminCalls(world.daemon(), tally);
  CHECK(ResidentMb(world.daemon()) - before_mb < 64);
  watchers.clear();
  stubs.clear();
  CountDescriptors(world.daemon(), descriptors, tally);
}

}  // namespace
}  // namespace shadow
