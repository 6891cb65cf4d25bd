#include "storage/retention.h"

#include <algorithm>
#include <vector>

#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

const Store::Options kOptions = {
    .sample_retention = absl::Seconds(100),
    .decision_retention = absl::Seconds(200),
    .event_retention = absl::Seconds(300),
    .request_retention = absl::Seconds(400),
};

// One of each a second, from second 1 to second 1000; numbers are the seconds.
void Fill(Store& store) {
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/web");
  for (int64_t second = 1; second <= 1000; ++second) {
    AddSample(*batch.mutable_samples(0), second, 1);
    AddEvent(batch, second, "pools/web", second);
    AddDecision(batch, second, "pools/web", second);
    v1::RequestRecord* request = batch.add_requests();
    request->set_request_id(std::to_string(second));
    *request->mutable_time() = At(second);
  }
  REQUIRE(CommitAndWait(store, batch).ok());
}

TEST_CASE("what is older than its retention is removed, each kind by its own") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  Fill(*store);
  PruneAt(*store, 1000);

  const auto samples = store->ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                          absl::ZeroDuration(), 10000);
  REQUIRE(samples.ok());
  REQUIRE(samples->size() == 101);  // Seconds 900 to 1000.
  CHECK(samples->front().time().seconds() == 900);
  const auto decisions = store->ReadDecisions("pools/web", 0, 10000);
  REQUIRE(decisions.ok());
  REQUIRE(decisions->size() == 201);
  CHECK(decisions->back().id() == 800);
  const auto events = store->ReadEvents(0, "", 10000);
  REQUIRE(events.ok());
  REQUIRE(events->size() == 301);
  CHECK(events->front().revision() == 700);
  const auto contents = store->Load();
  REQUIRE(contents.ok());
  REQUIRE(contents->requests_size() == 401);
  CHECK(contents->requests(0).request_id() == "600");
}

TEST_CASE("events are bounded by number too, and the oldest go first") {
  const TempDirectory directory;
  const int64_t events_max = GENERATE(1, 50, 301, 1000);
  const std::unique_ptr<Store> store = OpenStore(
      directory.path(), {.event_retention = absl::Seconds(300), .events_max = events_max});
  Fill(*store);
  PruneAt(*store, 1000);
  const auto events = store->ReadEvents(0, "", 10000);
  REQUIRE(events.ok());
  CHECK(std::ssize(*events) == std::min<int64_t>(events_max, 301));
  CHECK(events->back().revision() == 1000);
  CHECK(absl::IsOutOfRange(store->ReadEvents(events->front().revision() - 2, "", 10).status()));
}

TEST_CASE("reading on from an event that was removed is out of range") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  Fill(*store);
  CHECK(store->ReadEvents(1, "", 10).ok());
  PruneAt(*store, 1000);  // Removes 1 to 699.
  struct Row {
    int64_t after;
    absl::StatusCode code;
  };
  for (const Row& row : {Row{0, absl::StatusCode::kOk}, Row{1, absl::StatusCode::kOutOfRange},
                         Row{698, absl::StatusCode::kOutOfRange}, Row{699, absl::StatusCode::kOk},
                         Row{1000, absl::StatusCode::kOk}}) {
    INFO(row.after);
    CHECK(store->ReadEvents(row.after, "", 10).status().code() == row.code);
    CHECK(store->ReadEvents(row.after, "pools/db", 10).status().code() == row.code);
  }
}

TEST_CASE("numbers do not begin again when everything was removed") {
  const TempDirectory directory;
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
    Fill(*store);
    PruneAt(*store, 1'000'000);
    CHECK(store->ReadEvents(0, "", 10)->empty());
  }
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  CHECK(store->Load()->last_revision() == 1000);
  CHECK(store->Load()->last_decision_id() == 1000);
  CHECK(store->Load()->requests_size() == 0);
  CHECK(store->ReadEvents(1000, "", 10).ok());
  CHECK(absl::IsOutOfRange(store->ReadEvents(999, "", 10).status()));
}

TEST_CASE("other retentions count from the next removal on") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  Fill(*store);
  Store::Options options = kOptions;
  options.event_retention = absl::Seconds(10);
  options.events_max = 5;
  store->Configure(options);
  CHECK(store->ReadEvents(0, "", 10000)->size() == 1000);
  PruneAt(*store, 1000);
  CHECK(store->ReadEvents(0, "", 10000)->size() == 5);
  CHECK(store->ReadDecisions("pools/web", 0, 10000)->size() == 201);
}

TEST_CASE("nothing is removed before its time, and twice is as good as once") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  PruneAt(*store, 1000);  // Of nothing.
  Fill(*store);
  PruneAt(*store, 1000);
  PruneAt(*store, 900);
  CHECK(store->ReadEvents(0, "", 10000)->size() == 301);
}

TEST_CASE("more than a slice is removed slice by slice, and commits go on between") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kOptions);
  constexpr int64_t kSamples = 3 * storage::kSliceRowsMax + 7;
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/web");
  for (int64_t i = 1; i <= kSamples; ++i) AddSample(*batch.mutable_samples(0), i, 1);
  REQUIRE(CommitAndWait(*store, batch).ok());
  int64_t revision = 0;
  std::vector<std::future<absl::Status>> verdicts;
  for (int i = 0; i < 20; ++i) {
    v1::WriteBatch event;
    AddEvent(event, ++revision, "pools/web", kSamples + 1000);
    auto verdict = std::make_shared<std::promise<absl::Status>>();
    verdicts.push_back(verdict->get_future());
    store->Commit(std::move(event),
                  [verdict](const absl::Status& status) { verdict->set_value(status); });
  }
  PruneAt(*store, kSamples + 1000);
  CHECK(store
            ->ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                          absl::ZeroDuration(), 10)
            ->empty());
  for (auto& verdict : verdicts) CHECK(verdict.get().ok());
  CHECK(store->ReadEvents(0, "", 100)->size() == 20);
}

}  // namespace
}  // namespace shadow
