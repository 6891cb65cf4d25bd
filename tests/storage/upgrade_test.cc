// Each version of the schema that was ever written is migrated, with all of its rows.
#include <set>

#include "storage/schema.h"
#include "tests/storage/old_store.h"

namespace shadow {
namespace {

// In every file of samples: pool "web" has one a minute, pool "few" a single one.
constexpr int64_t kFirstSecond = 1'699'999'980;
constexpr int64_t kWebSamples = 1000;

std::vector<v1::Sample> SamplesOf(Store& store, const std::string& pool, absl::Duration coarsest) {
  const auto samples =
      store.ReadSamples(pool, absl::InfinitePast(), absl::InfiniteFuture(), coarsest, 1'000'000);
  INFO(samples.status());
  REQUIRE(samples.ok());
  return *samples;
}

void CheckSamples(Store& store) {
  const std::vector<v1::Sample> web = SamplesOf(store, "pools/web", absl::ZeroDuration());
  REQUIRE(web.size() == kWebSamples);
  for (int64_t i = 0; i < kWebSamples; ++i) {
    const v1::Sample& sample = web[static_cast<size_t>(i)];
    REQUIRE(sample.time().seconds() == kFirstSecond + i * 60);
    REQUIRE(sample.value() == static_cast<double>(i % 100) + 0.5);
  }
  const std::vector<v1::Sample> few = SamplesOf(store, "pools/few", absl::ZeroDuration());
  REQUIRE(few.size() == 1);
  CHECK(few.front().value() == 7.25);
}

void CheckRecords(const v1::StoreContents& contents) {
  CHECK(contents.store_id() == "5d3c1f0a-7b2e-4c11-9a55-0123456789ab");
  REQUIRE(contents.dnas_size() == 1);
  CHECK(contents.dnas(0).dna().process().argv_size() == 2);
  REQUIRE(contents.pools_size() == 1);
  CHECK(contents.pools(0).pool().external_capacity() == 100);
  const v1::Pool& pool = contents.pools(0).pool();
  CHECK(pool.GetReflection()->GetUnknownFields(pool).empty());
  CHECK(contents.pools(0).planner().wants_size() == 1);
  CHECK(contents.pools(0).provisioning_leads_size() == 1);
  REQUIRE(contents.shadows_size() == 1);
  CHECK(contents.shadows(0).shadow().target_instances() == 1);
  REQUIRE(contents.instances_size() == 1);
  CHECK(contents.instances(0).want() == v1::InstanceRecord::WANT_SUSPENDED);
  CHECK(contents.instances(0).instance().handle() == "pid 999999999");
  CHECK(contents.forecasters_size() == 1);
  REQUIRE(contents.requests_size() == 1);
  CHECK(contents.requests(0).request_id() == "r1");
  CHECK(contents.last_revision() == 4);
  CHECK(contents.last_decision_id() == 2);
}

TEST_CASE("a store of each older version is migrated and keeps all of its rows") {
  const TempDirectory directory;
  const OldVersions versions = GENERATE(OldVersions{1, 1}, OldVersions{1, 2}, OldVersions{1, 3},
                                        OldVersions{2, 3}, OldVersions{3, 3});
  INFO("state.db " << versions.state << ", metrics.db " << versions.metrics);
  MakeOldStore(directory.path(), versions);
  std::set<std::string> epochs;
  for (int start = 0; start < 2; ++start) {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    const auto contents = store->Load();
    INFO(contents.status());
    REQUIRE(contents.ok());
    CheckRecords(*contents);
    epochs.insert(contents->epoch());
    CHECK(contents->past_epochs_size() == (versions.state < 3 ? 0 : 2));
    CheckSamples(*store);
    CHECK(store->ReadEvents(0, "", 100)->size() == 4);
    CHECK(store->ReadEvents(0, "pools/web", 100)->back().instance().address() == "127.0.0.1:19001");
    CHECK(store->ReadDecisions("pools/web", 0, 100)->size() == 2);
    CHECK(store->TakeFindings().empty());
  }
  CHECK(epochs.size() == 1);
  CHECK(epochs.begin()->starts_with("5d3c1f0a-7b2e-4c11-9a55-0123456789ab/"));
  const auto newest = std::ssize(storage::MetricsSchema().migrations);
  CHECK(Query(directory.File("metrics.db"), "PRAGMA user_version") == newest);
  const std::string backup =
      directory.File("metrics.db.v" + std::to_string(versions.metrics) + ".backup");
  CHECK(std::filesystem::exists(backup) == (versions.metrics < newest));
}

TEST_CASE("means that were rolled up by an older version are read as they were") {
  const TempDirectory directory;
  MakeOldStore(directory.path(), {.state = 1, .metrics = 3});
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  const std::vector<v1::Sample> all = SamplesOf(*store, "pools/web", absl::Hours(1));
  REQUIRE(all.size() == 24 + 24 + kWebSamples);
  CHECK(all[0].time().seconds() == 1'699'826'400);
  CHECK(all[23].value() == 46);
  CHECK(all[24].time().seconds() == 1'699'913'400);
  CHECK(all[47].value() == 23.25);
}

TEST_CASE("there is a store of every version, so that each can be tested") {
  for (size_t version = 1; version <= storage::StateSchema().migrations.size(); ++version) {
    MakeOldFile(TempDirectory().path(), "state", static_cast<int>(version));
  }
  for (size_t version = 1; version <= storage::MetricsSchema().migrations.size(); ++version) {
    const TempDirectory directory;
    MakeOldFile(directory.path(), "metrics", static_cast<int>(version));
    CHECK(Query(directory.File("metrics.db"), "PRAGMA user_version") ==
          static_cast<int64_t>(version));
  }
}

TEST_CASE("what an older version wrote is written on by this one") {
  const TempDirectory directory;
  MakeOldStore(directory.path(), {.state = 1, .metrics = 1});
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    v1::WriteBatch batch;
    AddEvent(batch, 5, "pools/web");
    AddDecision(batch, 3, "pools/web");
    batch.add_samples()->set_pool("pools/few");
    AddSample(*batch.mutable_samples(0), kFirstSecond + 60, 8);
    batch.add_erase("pools/web/instances/i4");
    REQUIRE(CommitAndWait(*store, batch).ok());
  }
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  const auto contents = store->Load();
  REQUIRE(contents.ok());
  CHECK(contents->last_revision() == 5);
  CHECK(contents->last_decision_id() == 3);
  CHECK(contents->instances_size() == 0);
  CHECK(SamplesOf(*store, "pools/few", absl::ZeroDuration()).size() == 2);
}

}  // namespace
}  // namespace shadow
