#include "storage/retention_clock.h"

#include <vector>

#include "storage/retention.h"
#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr absl::Duration kOneDay = absl::Hours(24);
constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kStart = 1'700'006'400;  // A midnight.

absl::Time Day(double day) { return absl::FromUnixSeconds(kStart) + day * kOneDay; }

// An event, a decision, an answer and a sample of each of the 6 days before kStart + 6 days.
void FillWeek(Store& store) {
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/web");
  for (int64_t day = 1; day <= 6; ++day) {
    const int64_t second = kStart + day * kDaySeconds;
    AddSample(*batch.mutable_samples(0), second, 1);
    AddEvent(batch, day, "pools/web", second);
    AddDecision(batch, day, "pools/web", second);
    v1::RequestRecord* request = batch.add_requests();
    request->set_request_id(std::to_string(day));
    *request->mutable_time() = At(second);
  }
  REQUIRE(CommitAndWait(store, batch).ok());
}

struct Counts {
  size_t samples;
  size_t events;
  size_t decisions;
  int requests;
  bool operator==(const Counts&) const = default;
};

Counts CountsOf(Store& store) {
  const auto samples = store.ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 100);
  const auto contents = store.Load();
  REQUIRE(samples.ok());
  REQUIRE(contents.ok());
  return {.samples = samples->size(),
          .events = store.ReadEvents(0, "", 100)->size(),
          .decisions = store.ReadDecisions("pools/web", 0, 100)->size(),
          .requests = contents->requests_size()};
}

constexpr Counts kAll = {.samples = 6, .events = 6, .decisions = 6, .requests = 2};

// As it is at the end of day 6, after 6 days of one boot.
void LiveAWeek(const std::string& directory) {
  const auto store = OpenStore(directory);
  store->Prune(Day(0), absl::Hours(1));
  FillWeek(*store);
  store->Prune(Day(6), absl::Hours(1) + 6 * kOneDay);
  REQUIRE(CountsOf(*store) == kAll);  // Answers are kept for a day: those of the last two.
}

TEST_CASE("a store that is opened in the future removes nothing") {
  const TempDirectory directory;
  LiveAWeek(directory.path());
  for (const char* boot : {"boot", "another boot"}) {
    INFO(boot);
    const auto store = OpenStore(directory.path(), {.boot_id = boot});
    const absl::Duration mono = absl::Hours(1) + 6 * kOneDay;
    store->Prune(Day(46), mono + absl::Seconds(3));
    // What is written meanwhile is of no earlier time, and is no evidence of the time either.
    v1::WriteBatch batch;
    AddEvent(batch, store->Load()->last_revision() + 1, "pools/db", kStart + 46 * kDaySeconds);
    REQUIRE(CommitAndWait(*store, batch).ok());
    store->Prune(Day(46), mono + absl::Minutes(5));
    CHECK(CountsOf(*store).events >= kAll.events);
    CHECK(CountsOf(*store).samples == kAll.samples);
    CHECK(CountsOf(*store).decisions == kAll.decisions);
    CHECK(CountsOf(*store).requests == 1);  // By now that of day 5 is more than a day old.
  }
}

TEST_CASE("one look at a future clock does not stick") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  store->Prune(Day(46), absl::Hours(1));  // The first look of all.
  FillWeek(*store);
  for (int look = 1; look <= 3; ++look) store->Prune(Day(6), look * absl::Hours(2));
  CHECK(CountsOf(*store) == kAll);
}

TEST_CASE("a clock that is set back removes nothing, and then goes on") {
  const TempDirectory directory;
  LiveAWeek(directory.path());
  const auto store = OpenStore(directory.path());
  absl::Duration mono = absl::Hours(1) + 6 * kOneDay;
  for (const absl::Time wall : {Day(6) - absl::Hours(1), Day(-20'000), absl::FromUnixSeconds(-1)}) {
    store->Prune(wall, mono += absl::Minutes(5));
    CHECK(CountsOf(*store) == kAll);
  }
  // Right again, and believed in the end.
  for (int hour = 0; hour < 15 * 24; ++hour) {
    store->Prune(Day(6) + hour * absl::Hours(1), mono + hour * absl::Hours(1));
  }
  CHECK(CountsOf(*store) == Counts{.samples = 6, .events = 0, .decisions = 0, .requests = 0});
}

TEST_CASE("a clock that is ahead counts after a week of running") {
  const TempDirectory directory;
  LiveAWeek(directory.path());
  const auto store = OpenStore(directory.path());
  const absl::Duration mono = absl::Hours(1) + 6 * kOneDay;
  // 40 days in a moment. What passes by the monotonic clock expires on the way.
  store->Prune(Day(46), mono);
  store->Prune(Day(47), mono + kOneDay);
  CHECK(CountsOf(*store) == Counts{.samples = 6, .events = 6, .decisions = 6, .requests = 1});
  store->Prune(Day(46) + storage::kAheadUntilBelieved,
               mono + storage::kAheadUntilBelieved - absl::Seconds(1));
  CHECK(CountsOf(*store).samples == 6);
  store->Prune(Day(46) + storage::kAheadUntilBelieved, mono + storage::kAheadUntilBelieved);
  CHECK(CountsOf(*store).samples == 0);
  CHECK(CountsOf(*store).events == 0);
}

TEST_CASE("in a year of nights without power each day still expires") {
  const TempDirectory directory;
  const Store::Options options = {.event_retention = kOneDay};
  for (int day = 0; day < 365; ++day) {
    Store::Options of_today = options;
    of_today.boot_id = std::to_string(day);
    const auto store = OpenStore(directory.path(), of_today);
    v1::WriteBatch batch;
    AddEvent(batch, day + 1, "pools/web", kStart + day * kDaySeconds);
    REQUIRE(CommitAndWait(*store, batch).ok());
    for (int hour = 0; hour <= 12; hour += 4) {
      store->Prune(Day(day) + absl::Hours(hour), absl::Hours(hour));
    }
    // A day, and the fortnight of half days that it takes to believe the nights.
    CHECK(store->ReadEvents(0, "", 1000)->size() <= 2 + 14 + 7);
  }
}

TEST_CASE("an older store begins at its newest event") {
  const TempDirectory directory;
  {
    const auto store = OpenStore(directory.path());
    FillWeek(*store);  // Never pruned.
  }
  const auto store = OpenStore(directory.path());
  store->Prune(Day(46), absl::Hours(1));
  CHECK(CountsOf(*store) == kAll);
}

TEST_CASE("a row from the past takes none before it along, and one from the future blocks none") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  store->Prune(Day(0), absl::ZeroDuration());
  v1::WriteBatch batch;
  AddEvent(batch, 1, "a", kStart);
  AddEvent(batch, 2, "a", kStart + 100 * kDaySeconds);  // The clock was ahead,
  AddEvent(batch, 3, "a", kStart + 3 * kDaySeconds);
  AddEvent(batch, 4, "a", 0);  // and began at 1970 once.
  AddEvent(batch, 5, "a", kStart + 4 * kDaySeconds);
  REQUIRE(CommitAndWait(*store, batch).ok());
  const auto first = [&] { return store->ReadEvents(0, "", 1)->at(0).revision(); };
  store->Prune(Day(7.5), 7.5 * kOneDay);
  CHECK(first() == 2);
  store->Prune(Day(10.5), 10.5 * kOneDay);
  CHECK(first() == 5);
}

TEST_CASE("more rows from the future than a slice do not keep what has expired after them") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  store->Prune(Day(0), absl::ZeroDuration());
  constexpr int64_t kAhead = 2 * storage::kSliceRowsMax + 5;
  v1::WriteBatch batch;
  const auto add = [&batch](int64_t number, int64_t second) {
    AddEvent(batch, number, "a", second);
    AddDecision(batch, number, "pools/web", second);
  };
  for (int64_t i = 1; i <= kAhead; ++i) add(i, kStart + 100 * kDaySeconds);
  add(kAhead + 1, kStart + 3 * kDaySeconds);
  add(kAhead + 2, kStart + 9 * kDaySeconds);
  REQUIRE(CommitAndWait(*store, batch).ok());
  const auto first_event = [&] { return store->ReadEvents(0, "", 1)->at(0).revision(); };
  const auto decisions = [&] {
    return std::ssize(*store->ReadDecisions("pools/web", 0, 2 * kAhead));
  };
  store->Prune(Day(9.5), 9.5 * kOneDay);  // What comes after them has not expired yet.
  CHECK(first_event() == 1);
  CHECK(decisions() == kAhead + 2);
  store->Prune(Day(10.5), 10.5 * kOneDay);
  CHECK(first_event() == kAhead + 2);
  CHECK(decisions() == 1);
}

TEST_CASE("time passes by the monotonic clock of one boot, and never beyond the wall clock") {
  using storage::Advance;
  const storage::RetentionTime last = {.time = Day(1),
                                       .boot_id = "a",
                                       .mono = absl::Hours(5),
                                       .ahead = absl::ZeroDuration(),
                                       .ahead_for = absl::ZeroDuration()};
  struct Row {
    storage::ClockLook now;
    absl::Time time;
    absl::Duration ahead;
  };
  const absl::Duration hour = absl::Hours(1);
  const std::vector<Row> rows = {
      {{Day(1) + hour, 6 * hour, "a"}, Day(1) + hour, {}},  // Both clocks.
      {{Day(2), 6 * hour, "a"}, Day(1) + hour, 23 * hour},  // The wall clock alone.
      {{Day(1) + hour, 6 * hour, "b"}, Day(1), hour},       // Another boot.
      {{Day(1) + hour, 6 * hour, ""}, Day(1), hour},        // No boot is known.
      {{Day(1) + hour, 4 * hour, "a"}, Day(1), hour},       // Not the clock of then.
      {{Day(0), 6 * hour, "a"}, Day(0), {}},                // Back.
      {{absl::InfiniteFuture(), 6 * hour, "a"}, Day(1) + hour, absl::InfiniteDuration()},
  };
  for (const Row& row : rows) {
    INFO(row.now.wall << ", " << row.now.mono << ", boot " << row.now.boot_id);
    const storage::RetentionTime next = Advance(last, row.now);
    CHECK(next.time == row.time);
    CHECK(next.ahead == row.ahead);
  }
}

}  // namespace
}  // namespace shadow
