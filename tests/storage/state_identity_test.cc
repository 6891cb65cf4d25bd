#include "storage/state_identity.h"

#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::Contains;

void MakeStoreAt17(const std::string& directory) {
  const auto store = OpenStore(directory);
  v1::WriteBatch batch;
  AddEvent(batch, 17, "pools/web");
  REQUIRE(CommitAndWait(*store, batch).ok());
}

TEST_CASE("a copy of a store is refused as it is, until a person adopts it") {
  const TempDirectory original;
  const TempDirectory copy;
  MakeStoreAt17(original.path());
  std::filesystem::copy(original.path(), copy.path());
  const std::string before = ReadFile(copy.File("state.db"));
  const absl::Status refused = OpenStatus(copy.path());
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()), Contains(copy.File("state.db") + " is a copy"));
  CHECK_THAT(std::string(refused.message()), Contains("--recover=adopt-copy"));
  CHECK(ReadFile(copy.File("state.db")) == before);
  CHECK(OpenStatus(original.path()).ok());

  CHECK(OpenStatus(copy.path(), {.adopt_copy = true}).ok());
  CHECK(OpenStatus(copy.path()).ok());  // It is at home here now.
  CHECK(OpenStore(copy.path())->Load()->last_revision() == 17);
}

// The past epochs with their last revisions, then the present one.
std::vector<std::pair<std::string, int64_t>> EpochsOf(const std::string& directory,
                                                      const Store::Options& options = {}) {
  const auto contents = OpenStore(directory, options)->Load();
  REQUIRE(contents.ok());
  std::vector<std::pair<std::string, int64_t>> epochs;
  for (const v1::PastEpoch& past : contents->past_epochs()) {
    epochs.emplace_back(past.epoch(), past.last_revision());
  }
  CHECK(contents->epoch().starts_with(contents->store_id() + "/"));
  epochs.emplace_back(contents->epoch(), -1);
  return epochs;
}

TEST_CASE("a copy that is adopted begins a new epoch, and knows how far the one before had come") {
  const TempDirectory original;
  const TempDirectory copy;
  MakeStoreAt17(original.path());
  const auto first = EpochsOf(original.path());
  REQUIRE(first.size() == 1);
  CHECK(EpochsOf(original.path()) == first);
  CHECK(EpochsOf(original.path(), {.boot_id = "later"}) == first);
  std::filesystem::copy(original.path(), copy.path());
  const auto second = EpochsOf(copy.path(), {.adopt_copy = true});
  REQUIRE(second.size() == 2);
  CHECK(second[0] == std::pair{first[0].first, int64_t{17}});
  CHECK(second[1].first != first[0].first);
  CHECK(EpochsOf(copy.path(), {.adopt_copy = true}) == second);  // It is its own place now.
}

TEST_CASE("a store goes on where it was renamed, and an older one adopts the place it is in") {
  const TempDirectory parent;
  std::filesystem::create_directory(parent.File("a"));
  MakeStoreAt17(parent.File("a"));
  std::filesystem::rename(parent.File("a"), parent.File("b"));
  CHECK(OpenStatus(parent.File("b")).ok());

  RunSql(parent.File("b/state.db"), "DELETE FROM meta WHERE key LIKE 'place_%'");
  std::filesystem::create_directory(parent.File("c"));
  std::filesystem::copy(parent.File("b"), parent.File("c"));
  CHECK(OpenStatus(parent.File("c")).ok());
  CHECK(Query(parent.File("c/state.db"), "SELECT count(*) FROM meta WHERE key LIKE 'place_%'") ==
        4);
}

TEST_CASE("another machine or inode is another place, another device within a boot only") {
  const TempDirectory directory;
  MakeStoreAt17(directory.path());
  const auto here = storage::ReadStateIdentity(directory.path(), "boot");
  REQUIRE(here.ok());
  struct Row {
    storage::StateIdentity place;
    bool same;
  };
  const auto with = [&](auto change) {
    storage::StateIdentity place = *here;
    change(place);
    return place;
  };
  using P = storage::StateIdentity;
  for (const Row& row : {
           Row{*here, true},
           Row{with([](P& p) { p.machine_id = "another"; }), false},
           Row{with([](P& p) { p.inode = "1"; }), false},
           Row{with([](P& p) { p.device = "1"; }), false},
           Row{with([](P& p) { p.boot_id = "later"; }), true},
           Row{with([](P& p) { p.device = "1", p.boot_id = "later"; }), true},
       }) {
    INFO(row.place.machine_id << ", " << row.place.inode << ", " << row.place.device << ", "
                              << row.place.boot_id);
    CHECK(storage::CheckIdentity(directory.File("state.db"), row.place).ok() == row.same);
  }
  CHECK(storage::CheckIdentity(directory.File("missing.db"), *here).ok());
}

}  // namespace
}  // namespace shadow
