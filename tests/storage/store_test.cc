#include "storage/store.h"

#include <sys/stat.h>

#include <limits>
#include <regex>

#include "google/protobuf/util/message_differencer.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::Contains;
using google::protobuf::util::MessageDifferencer;

// One of each record, with some of its fields set.
v1::WriteBatch EveryKind() {
  v1::WriteBatch batch;
  v1::Dna* dna = batch.add_put_dnas()->mutable_dna();
  dna->set_name("dnas/web");
  dna->set_revision("0123456789ab");
  dna->mutable_process()->add_argv("/usr/bin/web");
  v1::PoolRecord pool;
  pool.mutable_pool()->set_name("pools/web");
  pool.mutable_pool()->set_managed_instances(3);
  pool.mutable_planner()->add_wants()->set_instances(4);
  pool.add_activation_leads()->set_nanos(40'000'000);
  AddPool(batch, pool);
  v1::ShadowRecord* shadow = batch.add_put_shadows();
  shadow->mutable_shadow()->set_name("pools/web/shadowPools/r0123456789ab");
  shadow->mutable_shadow()->set_target_instances(7);
  shadow->set_deleting(true);
  v1::InstanceRecord* instance = batch.add_put_instances();
  instance->mutable_instance()->set_name("pools/web/instances/a1");
  instance->mutable_instance()->set_state(v1::Instance::ACTIVE);
  AddEvent(batch, 1, "pools/web")->set_message("\xfe made");
  AddDecision(batch, 1, "pools/web")->set_ready_need(12.5);
  v1::RequestRecord* request = batch.add_requests();
  request->set_request_id("r-1");
  request->set_response("answer");
  *request->mutable_time() = At(1000);
  v1::SampleBatch* samples = batch.add_samples();
  samples->set_pool("pools/web");
  AddSample(*samples, 1000, 1.25);
  AddSample(*samples, 1060, 0, 999'999'999);
  return batch;
}

void RequireEveryKind(Store& store, const v1::WriteBatch& batch) {
  const absl::StatusOr<v1::StoreContents> contents = store.Load();
  REQUIRE(contents.ok());
  REQUIRE(contents->dnas_size() == 1);
  CHECK(MessageDifferencer::Equals(contents->dnas(0), batch.put_dnas(0)));
  REQUIRE(contents->pools_size() == 1);
  CHECK(contents->pools(0).SerializeAsString() == batch.put_pools(0).record());
  REQUIRE(contents->shadows_size() == 1);
  CHECK(MessageDifferencer::Equals(contents->shadows(0), batch.put_shadows(0)));
  REQUIRE(contents->instances_size() == 1);
  CHECK(MessageDifferencer::Equals(contents->instances(0), batch.put_instances(0)));
  REQUIRE(contents->requests_size() == 1);
  CHECK(MessageDifferencer::Equals(contents->requests(0), batch.requests(0)));
  CHECK(contents->last_revision() == 1);
  CHECK(contents->last_decision_id() == 1);

  const auto events = store.ReadEvents(0, "", 10);
  REQUIRE(events.ok());
  REQUIRE(events->size() == 1);
  CHECK(MessageDifferencer::Equals(events->front(), batch.events(0)));
  const auto decisions = store.ReadDecisions("pools/web", 0, 10);
  REQUIRE(decisions.ok());
  REQUIRE(decisions->size() == 1);
  CHECK(MessageDifferencer::Equals(decisions->front(), batch.decisions(0)));
  const auto samples = store.ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 10);
  REQUIRE(samples.ok());
  REQUIRE(samples->size() == 2);
  CHECK(MessageDifferencer::Equals((*samples)[0], batch.samples(0).samples(0)));
  CHECK(MessageDifferencer::Equals((*samples)[1], batch.samples(0).samples(1)));
}

TEST_CASE("every kind of record comes back as it was written, also after a restart") {
  const TempDirectory directory;
  const v1::WriteBatch batch = EveryKind();
  std::string store_id;
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    REQUIRE(CommitAndWait(*store, batch).ok());
    RequireEveryKind(*store, batch);
    store_id = store->Load()->store_id();
  }
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  RequireEveryKind(*store, batch);
  CHECK(store->Load()->store_id() == store_id);
}

TEST_CASE("a new store is empty and has a random UUID of its own") {
  const TempDirectory one;
  const TempDirectory other;
  const auto contents = OpenStore(one.path())->Load();
  REQUIRE(contents.ok());
  CHECK(contents->last_revision() == 0);
  CHECK(contents->last_decision_id() == 0);
  CHECK(contents->pools_size() == 0);
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  CHECK(std::regex_match(contents->store_id(), uuid));
  CHECK(OpenStore(other.path())->Load()->store_id() != contents->store_id());
}

TEST_CASE("the store's files are for its user alone") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  REQUIRE(CommitAndWait(*store, EveryKind()).ok());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    struct stat info;
    REQUIRE(stat(entry.path().c_str(), &info) == 0);
    INFO(entry.path());
    CHECK((info.st_mode & 0777) == (entry.is_directory() ? 0700 : 0600));
    ++files;
  }
  CHECK(files == 7);  // Both files, each with its WAL and the WAL's index; and definitions.
}

TEST_CASE("a name prefix gives the resource and those below it, not its namesakes") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch batch;
  const char* const names[] = {
      "pools/web", "pools/web2", "pools/web-2",   "pools/web/instances",
      "pools/we",  "dnas/web",   "pools/web/a/b", "pools/web0/instances/x"};
  int64_t revision = 0;
  for (const char* name : names) AddEvent(batch, ++revision, name);
  REQUIRE(CommitAndWait(*store, batch).ok());

  const auto revisions = [&](int64_t after, const std::string& prefix, int64_t limit) {
    std::vector<int64_t> found;
    const auto events = store->ReadEvents(after, prefix, limit);
    REQUIRE(events.ok());
    for (const v1::Event& event : *events) found.push_back(event.revision());
    return found;
  };
  CHECK(revisions(0, "pools/web", 100) == std::vector<int64_t>{1, 4, 7});
  CHECK(revisions(1, "pools/web", 100) == std::vector<int64_t>{4, 7});
  CHECK(revisions(0, "pools/web", 2) == std::vector<int64_t>{1, 4});
  CHECK(revisions(0, "pools", 100) == std::vector<int64_t>{1, 2, 3, 4, 5, 7, 8});
  CHECK(revisions(6, "", 100) == std::vector<int64_t>{7, 8});
  CHECK(revisions(8, "", 100).empty());
  CHECK(revisions(0, "", 0).empty());
  CHECK(revisions(0, "", -1).empty());
}

TEST_CASE("a read ends with the first row after those that have the bytes of its limit") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch batch;
  for (int64_t i = 1; i <= 9; ++i)
    AddEvent(batch, i, "pools/a")->set_message(std::string(100, 'x'));
  REQUIRE(CommitAndWait(*store, batch).ok());
  CHECK(store->ReadEvents(0, "", {9, 1})->size() == 2);
  CHECK(store->ReadEvents(0, "", {9, 250})->size() == 4);  // Three have 300 and more.
}

TEST_CASE("decisions are listed by pool, newest first, page by page") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch batch;
  for (int64_t id = 1; id <= 9; ++id) AddDecision(batch, id, id % 3 == 0 ? "pools/b" : "pools/a");
  REQUIRE(CommitAndWait(*store, batch).ok());
  const auto ids = [&](const std::string& pool, int64_t before, int64_t limit) {
    std::vector<int64_t> found;
    const auto decisions = store->ReadDecisions(pool, before, limit);
    REQUIRE(decisions.ok());
    for (const v1::Decision& decision : *decisions) found.push_back(decision.id());
    return found;
  };
  CHECK(ids("pools/a", 0, 3) == std::vector<int64_t>{8, 7, 5});
  CHECK(ids("pools/a", 5, 3) == std::vector<int64_t>{4, 2, 1});
  CHECK(ids("pools/b", 0, 9) == std::vector<int64_t>{9, 6, 3});
  CHECK(ids("pools/c", 0, 9).empty());
}

TEST_CASE("a sample before the epoch keeps its nanoseconds") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/a");
  AddSample(*batch.mutable_samples(0), -1, 3, 250'000'000);  // A quarter second after -1 s.
  REQUIRE(CommitAndWait(*store, batch).ok());
  const auto samples = store->ReadSamples("pools/a", absl::InfinitePast(), absl::InfiniteFuture(),
                                          absl::ZeroDuration(), 1);
  REQUIRE(samples.ok());
  REQUIRE(samples->size() == 1);
  CHECK(samples->front().time().seconds() == -1);
  CHECK(samples->front().time().nanos() == 250'000'000);
}

TEST_CASE("the samples of many pools are read pool by pool, each from its own time on") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch batch;
  for (const char* pool : {"pools/a", "pools/b", "pools/c"}) {
    v1::SampleBatch& samples = *batch.add_samples();
    samples.set_pool(pool);
    for (int second = 1; second <= 4; ++second) AddSample(samples, second, second);
  }
  REQUIRE(CommitAndWait(*store, batch).ok());
  std::string seen;
  const auto take = [&](const std::string& pool, const v1::Sample& sample) {
    seen += pool.back() + std::to_string(sample.time().seconds()) + " ";
  };
  const std::map<std::string, Store::From> from = {{"pools/a", {absl::InfinitePast(), {}}},
                                                   {"pools/b", {absl::FromUnixSeconds(2), {}}},
                                                   {"pools/none", {absl::InfinitePast(), {}}}};
  REQUIRE(store->ScanSamples(from, absl::FromUnixSeconds(3), take).ok());
  CHECK(seen == "a1 a2 a3 b3 ");
  seen.clear();
  REQUIRE(
      store->ScanSamples({{"pools/none", {absl::InfinitePast(), {}}}}, absl::InfiniteFuture(), take)
          .ok());
  CHECK(seen.empty());
}

TEST_CASE("a batch that cannot be stored is refused alone and leaves nothing behind") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch good;
  AddEvent(good, 5, "pools/a");
  AddDecision(good, 5, "pools/a");
  REQUIRE(CommitAndWait(*store, good).ok());

  v1::WriteBatch bad;
  AddPool(bad, "pools/b");
  SECTION("a revision that is there") { AddEvent(bad, 5, "pools/b"); }
  SECTION("a decision that is there") { AddDecision(bad, 5, "pools/b"); }
  SECTION("an event without a revision") { AddEvent(bad, 0, "pools/b"); }
  SECTION("a decision without an id") { AddDecision(bad, 0, "pools/b"); }
  SECTION("a pool without a name") { bad.add_put_pools(); }
  SECTION("a shadow without a name") { bad.add_put_shadows(); }
  SECTION("an instance without a name") { bad.add_put_instances(); }
  SECTION("a DNA without a revision") { bad.add_put_dnas()->mutable_dna()->set_name("dnas/web"); }
  SECTION("a request without an id") { bad.add_requests(); }
  SECTION("samples of no pool") { bad.add_samples(); }
  SECTION("a sample that is not a number") {
    bad.add_samples()->set_pool("pools/b");
    AddSample(*bad.mutable_samples(0), 1, std::numeric_limits<double>::quiet_NaN());
  }
  SECTION("an infinite sample") {
    bad.add_samples()->set_pool("pools/b");
    AddSample(*bad.mutable_samples(0), 1, std::numeric_limits<double>::infinity());
  }
  CHECK(CommitAndWait(*store, bad).code() == absl::StatusCode::kInvalidArgument);
  CHECK(store->Load()->pools_size() == 0);

  v1::WriteBatch next;
  AddEvent(next, 6, "pools/a");
  CHECK(CommitAndWait(*store, next).ok());
  CHECK(store->ReadEvents(0, "", 10)->size() == 2);
}

// Three events and decisions, one pool and its forecaster.
void MakeSmallStore(const std::string& directory) {
  const auto store = OpenStore(directory);
  v1::WriteBatch batch;
  AddPool(batch, "pools/web");
  batch.add_put_forecasters()->set_pool("pools/web");
  for (int64_t i = 1; i <= 3; ++i) {
    AddEvent(batch, i, "pools/web");
    AddDecision(batch, i, "pools/web");
  }
  REQUIRE(CommitAndWait(*store, batch).ok());
  CHECK(store->TakeFindings().empty());
}

TEST_CASE("a missing metrics.db is told once") {
  const TempDirectory directory;
  MakeSmallStore(directory.path());
  std::filesystem::remove(directory.File("metrics.db"));
  const auto findings = OpenStore(directory.path())->TakeFindings();
  REQUIRE(findings.size() == 1);
  CHECK_THAT(findings[0].text, Contains(directory.File("metrics.db") + " is missing"));
  CHECK(OpenStore(directory.path())->TakeFindings().empty());
}

TEST_CASE("a damaged forecast is dropped and named, and a damaged pool is not") {
  const TempDirectory directory;
  MakeSmallStore(directory.path());
  RunSql(directory.File("state.db"), "UPDATE resources SET data = x'ffff' WHERE kind = 5");
  const auto store = OpenStore(directory.path());
  const auto contents = store->Load();
  REQUIRE(contents.ok());
  CHECK(contents->pools_size() == 1);
  CHECK(contents->forecasters_size() == 0);
  const auto findings = store->TakeFindings();
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].name == "pools/web");

  RunSql(directory.File("state.db"), "UPDATE resources SET data = x'ffff' WHERE kind = 2");
  const absl::Status damaged = OpenStore(directory.path())->Load().status();
  CHECK(absl::IsDataLoss(damaged));
  CHECK_THAT(std::string(damaged.message()), Contains("pools/web"));
}

TEST_CASE("a damaged answer to a request is dropped and named, and the others stay") {
  const TempDirectory directory;
  {
    const auto store = OpenStore(directory.path());
    v1::WriteBatch batch;
    for (const char* id : {"r1", "r2", "r3"}) {
      v1::RequestRecord& request = *batch.add_requests();
      request.set_request_id(id);
      *request.mutable_time() = At(1'700'000'000);
    }
    REQUIRE(CommitAndWait(*store, batch).ok());
  }
  RunSql(directory.File("state.db"), "UPDATE requests SET data = x'ffff' WHERE request_id = 'r2'");
  const auto store = OpenStore(directory.path());
  const auto contents = store->Load();
  INFO(contents.status());
  REQUIRE(contents.ok());
  REQUIRE(contents->requests_size() == 2);
  CHECK(contents->requests(0).request_id() == "r1");
  CHECK(contents->requests(1).request_id() == "r3");
  const auto findings = store->TakeFindings();
  REQUIRE(findings.size() == 1);
  CHECK_THAT(findings[0].text, Contains("request_id \"r2\" is damaged and was dropped"));
}

TEST_CASE("a damaged row of history hides nothing but itself") {
  const TempDirectory directory;
  MakeSmallStore(directory.path());
  RunSql(directory.File("state.db"),
         "UPDATE events SET data = x'ffff' WHERE revision = 2; "
         "UPDATE decisions SET data = x'ffff' WHERE id = 3;");
  const auto store = OpenStore(directory.path());
  const auto events = store->ReadEvents(0, "", 2);
  REQUIRE(events.ok());
  REQUIRE(events->size() == 2);
  CHECK(events->back().revision() == 3);
  CHECK(store->ReadEvents(1, "pools/web", 2)->size() == 1);
  const auto decisions = store->ReadDecisions("pools/web", 0, 2);
  REQUIRE(decisions.ok());
  REQUIRE(decisions->size() == 2);
  CHECK(decisions->front().id() == 2);
}

}  // namespace
}  // namespace shadow
