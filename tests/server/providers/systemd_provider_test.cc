// The systemd provider over units in memory: what the conformance suite does not ask of all.
#include "server/providers/systemd/systemd_provider.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/core/error.h"
#include "tests/server/providers/systemd_world.h"

namespace shadow {
namespace {

void ChangeUnit(FakeUnitsWorld& world, const std::string& id,
                const std::function<void(UnitView&)>& change) {
  const std::lock_guard lock(world.manager().mutex);
  change(world.manager().units.at(id));
}

TEST_CASE("a unit is started with what its instance is, and is found by it") {
  FakeUnitsWorld world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  const UnitSpec& spec = world.manager().specs.at("a1");
  CHECK(spec.pool == instance.pool);
  CHECK(spec.shadow == instance.shadow);
  CHECK(spec.revision_name == instance.dna->revision_name);
  CHECK(spec.epoch == world.Epoch());
  CHECK(spec.log_path == world.LogPath("a1"));
  struct stat info {};
  REQUIRE(stat(spec.log_path.c_str(), &info) == 0);  // Ours before the manager opens it.
  CHECK((info.st_mode & 0777) == 0600);
  REQUIRE(Destroy(world.provider(), instance).ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK_FALSE(std::filesystem::exists(spec.log_path));
}

TEST_CASE("the states of a unit are lives of its instance") {
  struct Row {
    const char* active;
    const char* sub;
    const char* freezer;
    int main_pid;
    Life life;
  };
  const std::vector<Row> rows = {
      {"activating", "start", "running", 5, Life::kStarting},
      {"active", "running", "running", 5, Life::kRunning},
      {"active", "running", "freezing", 5, Life::kRunning},
      {"active", "running", "frozen", 5, Life::kSuspended},
      {"active", "exited", "running", 0, Life::kExited},
      // A unit that was killed while it was frozen still says so (systemd 252).
      {"failed", "failed", "frozen", 0, Life::kExited},
      {"deactivating", "stop-sigterm", "running", 5, Life::kStopping},
      {"deactivating", "final-sigterm", "running", 0, Life::kExited},
  };
  FakeUnitsWorld world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  for (const Row& row : rows) {
    INFO(row.active << " " << row.sub << " " << row.freezer);
    ChangeUnit(world, "a1", [&row](UnitView& unit) {
      unit.active_state = row.active;
      unit.sub_state = row.sub;
      unit.freezer_state = row.freezer;
      unit.main_pid = row.main_pid;
    });
    CHECK(Look(world.provider(), instance).life == row.life);
  }
}

TEST_CASE("the signal of a resume hook follows a suspension alone") {
  FakeUnitsWorld world;
  CompiledDna dna = world.Dna();
  dna.dna.mutable_process()->mutable_resume_hook()->set_signal("SIGUSR1");
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(world.manager().signals["a1"].empty());
  REQUIRE(Suspend(world.provider(), instance).ok());
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(world.manager().signals["a1"] == std::vector<int>{SIGUSR1});
}

TEST_CASE("a manager that does not answer is no news of an instance") {
  FakeUnitsWorld world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(provider, instance).ok());
  world.manager().down = absl::UnavailableError("away");
  CHECK(absl::IsUnavailable(provider.Inspect(instance).status()));
  CHECK(absl::IsUnavailable(provider.List().status()));
  CHECK(absl::IsUnavailable(provider.Verify(instance, Provider::Part::kEverything).status()));
  for (const auto kind : {InstanceOp::Kind::kCreate, InstanceOp::Kind::kSuspend,
                          InstanceOp::Kind::kResume, InstanceOp::Kind::kKill}) {
    CHECK(absl::IsUnavailable(provider.ApplyOne(kind, instance)));
  }
  world.manager().down = absl::OkStatus();
  CHECK(Look(provider, instance).life == Life::kRunning);
}

TEST_CASE("an instance's last words are told, but not where they may show a secret") {
  FakeUnitsWorld world;
  CompiledDna dna = world.Dna();
  WriteFile(world.directory() / "token", "s3cret\n");
  if (GENERATE(false, true)) {
    v1::Secret& secret = *dna.dna.mutable_security()->add_secrets();
    secret.set_environment_variable("TOKEN");
    secret.set_source_file(world.directory() / "token");
  }
  const bool secrets = !dna.dna.security().secrets().empty();
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  WriteFile(world.LogPath("a1"), "it was s3cret\n");
  world.manager().Exit("a1", 1, 3);
  const std::string reason = Look(world.provider(), instance).exit_reason;
  CHECK(reason.starts_with("exit status 3; last output"));
  CHECK((reason.find("s3cret") == std::string::npos) == secrets);
  // A new object does not know when the secrets were read; a list not even of what DNA it is.
  const auto all = world.Reopen().List();
  REQUIRE(all.ok());
  CHECK(all->front().exit_reason == "exit status 3; last output withheld: it may show a secret");
}

TEST_CASE("an instance that is destroyed during a list has not ended by itself") {
  FakeUnitsWorld world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Create(provider, TestInstance("a2", world.Dna())).ok());
  ChangeUnit(world, "a1", [](UnitView& unit) { unit.active_state = "failed"; });
  world.manager().on_list = [&] {
    CHECK(Kill(provider, instance).ok());
    CHECK(Look(provider, instance).life == Life::kAbsent);
  };
  const auto during = provider.List();
  world.manager().on_list = nullptr;
  REQUIRE(during.ok());
  REQUIRE(during->size() == 1);
  CHECK(during->front().id == "a2");
  REQUIRE(Create(provider, instance).ok());
  CHECK(provider.List()->size() == 2);
}

TEST_CASE("missing controllers are told of each instance") {
  FakeUnitsWorld world;
  world.manager().missing_controllers = {"cpu"};
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  const auto all = world.provider().List();
  REQUIRE(all.ok());
  CHECK(all->front().missing_controllers == std::vector<std::string>{"cpu"});
}

TEST_CASE("a start that fails late names the field of the DNA") {
  FakeUnitsWorld world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  world.manager().Exit("a1", 1, 203);
  const Observation seen = Look(world.provider(), instance);
  CHECK(seen.life == Life::kExited);
  CHECK(seen.exit_reason.starts_with("exit status 203, which systemd gives"));
  CHECK(seen.exit_reason.find("dna.process.argv") != std::string::npos);
}

TEST_CASE("what a suspended unit gave back is told while it is suspended") {
  FakeUnitsWorld world;
  const ReclaimedMemory reclaimed{.before_bytes = 200, .after_bytes = 10, .swap = true};
  world.manager().reclaimed = reclaimed;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  CHECK_FALSE(Look(world.provider(), instance).reclaimed.has_value());
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(Look(world.provider(), instance).reclaimed == reclaimed);
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK_FALSE(Look(world.provider(), instance).reclaimed.has_value());
}

TEST_CASE("the directory of units is ours alone") {
  const TemporaryDirectory directory;
  const auto made = UnitDirectory(directory.path());
  REQUIRE(made.ok());
  CHECK(*made == directory / "units");
  CHECK(UnitDirectory(directory.path()).ok());
  std::filesystem::permissions(*made, std::filesystem::perms(0755));
  CHECK(absl::IsFailedPrecondition(UnitDirectory(directory.path()).status()));
}

}  // namespace
}  // namespace shadow
