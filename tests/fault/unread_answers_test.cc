// Readers who ask and do not read: what they leave lying is bounded, and others get everything.
#include <grpcpp/create_channel_posix.h>

#include <set>

#include "tests/e2e/shadow_world.h"
#include "tests/fault/hostile_reader.h"
#include "tests/fault/raw_reader.h"

namespace shadow {
namespace {

using EventStub = v1::EventService::Stub;

std::unique_ptr<EventStub> EventsFor(const DaemonProcess& daemon, uid_t uid) {
  const TestSocket socket = Reader(daemon, uid);
  REQUIRE(socket);
  return v1::EventService::NewStub(grpc::CreateInsecureChannelFromFd("reader", dup(socket.fd())));
}

// Revisions of all events, page by page; each page has some.
std::vector<int64_t> ListedRevisions(EventStub& stub, int page_size) {
  std::vector<int64_t> revisions;
  v1::ListEventsRequest request;
  request.set_page_size(page_size);
  do {
    const auto page = ShadowWorld::Must(DaemonProcess::Call(stub, &EventStub::ListEvents, request));
    REQUIRE(page.events_size() > 0);
    for (const v1::Event& event : page.events()) revisions.push_back(event.revision());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return revisions;
}

// The revisions of the `count` events after `since`, as a stream has them.
std::vector<int64_t> WatchedRevisions(EventStub& stub, int64_t since, size_t count) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kSoon));
  v1::WatchRequest request;
  request.set_since_revision(since);
  const auto reader = stub.Watch(&context, request);
  std::vector<int64_t> revisions;
  v1::Event event;
  while (revisions.size() < count && reader->Read(&event)) {
    if (event.kind() != v1::Event::BOOKMARK) revisions.push_back(event.revision());
  }
  context.TryCancel();
  reader->Finish().error_code();
  return revisions;
}

TEST_CASE("answers that nobody reads are few, and the rest is refused") {
  if (NotRoot()) return;
  constexpr int kCalls = 60;  // On each of two connections.
  Tally tally("unread pages", "calls");
  ShadowWorld world({.haproxy = false}, false);
  CreateLargeDnas(world, 200, 15'000);
  const int64_t descriptors = DescriptorsBefore(world.daemon());
  const int64_t before_mb = ResidentMb(world.daemon());
  std::vector<RawReader> readers;
  v1::ListEventsRequest request;
  request.set_page_size(1000);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back(world.daemon(), kReaderUid, 0);
    readers.back().Call("/shadow.v1.EventService/ListEvents", request, kCalls);
    tally.Try(kCalls);
  }
  // The user may hold 4 MiB, and each page has 1 MiB.
  CHECK(PollUntil(kSoon, [&] {
    const Answers answers = AnswersOf(readers);
    return answers.admitted == 4 && answers.refused == 2 * kCalls - 4;
  }));
  CountAdminCalls(world.daemon(), tally);
  CHECK(ResidentMb(world.daemon()) - before_mb < 192);  // What malloc keeps of the refused too.

  auto other = EventsFor(world.daemon(), kReaderUid + 1);
  const std::vector<int64_t> all = ListedRevisions(world.daemon().events(), 7);
  CHECK(all.size() >= 200);
  CHECK(ListedRevisions(*other, 1000) == all);
  readers.clear();
  auto same = EventsFor(world.daemon(), kReaderUid);
  CHECK(PollUntil(
      kSoon, [&] { return DaemonProcess::Call(*same, &EventStub::ListEvents, request).ok(); }));
  other.reset();
  same.reset();
  CountDescriptors(world.daemon(), descriptors, tally);
}

TEST_CASE("watchers from the past who do not read are bounded, and one who reads gets everything") {
  if (NotRoot()) return;
  Tally tally("unread past", "watchers");
  ShadowWorld world({.haproxy = false}, false);
  CreateLargeDnas(world, 100, 60'000);
  REQUIRE(world.daemon().Terminate() == 0);
  world.daemon().Start();  // All of these events are in the store alone.
  const int64_t descriptors = DescriptorsBefore(world.daemon());
  const int64_t before_mb = ResidentMb(world.daemon());
  std::vector<RawReader> readers;
  v1::WatchRequest request;
  request.set_since_revision(0);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back(world.daemon(), kReaderUid, 0);
    readers.back().Call("/shadow.v1.EventService/Watch", request, 32);
    tally.Try(32);
  }
  // A watcher for whose page there is no room says so with its first bookmark, after 10 s.
  CHECK(PollUntil(absl::Seconds(40), [&] { return AnswersOf(readers).admitted == 64; }));
  CHECK(ResidentMb(world.daemon()) - before_mb < 64);

  auto other = EventsFor(world.daemon(), kReaderUid + 1);
  const std::vector<int64_t> all = ListedRevisions(*other, 1000);
  const size_t half = all.size() / 2;
  std::vector<int64_t> watched = WatchedRevisions(*other, 0, half);
  REQUIRE(watched.size() == half);
  const std::vector<int64_t> rest = WatchedRevisions(*other, watched.back(), all.size() - half);
  watched.insert(watched.end(), rest.begin(), rest.end());
  CHECK(watched == all);
  const std::set<int64_t> there(watched.begin(), watched.end());
  for (const int64_t revision : all) tally.Lose(there.contains(revision) ? 0 : 1);
  CountAdminCalls(world.daemon(), tally);
  readers.clear();
  other.reset();
  CountDescriptors(world.daemon(), descriptors, tally);
}

TEST_CASE("eight users with 500 watchers each, who read little or nothing, cost nobody anything") {
  if (NotRoot()) return;
  constexpr int kUsers = 8;
  constexpr int kConnections = 10;  // Of each.
  constexpr int kCalls = 50;        // On each.
  constexpr int kTried = kUsers * kConnections * kCalls;
  constexpr int kAdmitted = kUsers * 64;
  constexpr uint32_t kSlowWindow = 65'535;  // One event fits.
  Tally tally("4,000 watchers", "watchers");
  ShadowWorld world({.haproxy = false}, false);
  CreateLargeDnas(world, 100, 60'000);
  REQUIRE(world.daemon().Terminate() == 0);
  world.daemon().Start();
  const int64_t descriptors = DescriptorsBefore(world.daemon());
  v1::WatchRequest request;
  request.set_since_revision(0);
  std::vector<RawReader> readers;
  int tried = 0;
  for (int i = 0; i < kConnections; ++i) {
    for (int user = 0; user < kUsers; ++user, tried += kCalls) {
      const uid_t uid = kReaderUid + static_cast<uid_t>(user);
      readers.emplace_back(world.daemon(), uid, user % 2 == 0 ? 0 : kSlowWindow);
      readers.back().Call("/shadow.v1.EventService/Watch", request, kCalls);
    }
    // Those for whom there is no room yet are answered with their first bookmark, after 10 s.
    REQUIRE(PollUntil(absl::Seconds(60), [&] {
      const Answers answers = AnswersOf(readers);
      return answers.admitted + answers.refused == tried;
    }));
  }
  const Answers answers = AnswersOf(readers);
  tally.Try(tried);
  tally.Note(answers.admitted, "admitted");
  tally.Note(answers.refused, "refused");
  CHECK(tried == kTried);
  CHECK(answers.admitted == kAdmitted);
  CHECK(answers.refused == kTried - kAdmitted);
  CountAdminCalls(world.daemon(), tally);
  CHECK(ResidentMb(world.daemon()) <= 256);
  readers.clear();
  CountDescriptors(world.daemon(), descriptors, tally);
}

}  // namespace
}  // namespace shadow
