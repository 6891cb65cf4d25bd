// What is missing or damaged and can be done without.
#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::Contains;

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
