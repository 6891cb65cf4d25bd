// What all Units keep to; the fake and those of a real service manager pass the same cases.
#include <signal.h>

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "server/core/clock.h"
#include "server/units/sd_bus_units.h"
#include "tests/fakes/fake_units.h"
#include "tests/fakes/test_dna.h"
#include "tests/server/providers/provider_world.h"
#include "tests/server/units/gated_units_place.h"

namespace shadow {
namespace {

class FakeUnitsPlace {
 public:
  Units& units() { return *units_; }
  // As another daemon on the same manager.
  Units& Reopen() {
    units_ = std::make_unique<FakeUnits>(manager_);
    return *units_;
  }
  void Exit(const std::string& id, int code, int status) { manager_->Exit(id, code, status); }

 private:
  std::shared_ptr<UnitsInMemory> manager_ = std::make_shared<UnitsInMemory>();
  std::unique_ptr<Units> units_ = std::make_unique<FakeUnits>(manager_);
};

class UserUnitsPlace {
 public:
  UserUnitsPlace() { Reopen(); }
  ~UserUnitsPlace() {
    const auto all = units_->List();
    if (!all.ok()) return;
    for (const UnitView& unit : *all) {
      PollUntil(kPatience, [&] {
        (void)units_->Stop(unit.id, /*force=*/true);
        (void)units_->Forget(unit.id);
        const auto now = units_->Get(unit.id);
        return now.ok() && !now->has_value();
      });
    }
  }
  Units& units() { return *units_; }
  Units& Reopen() {
    units_ = std::make_unique<SdBusUnits>(SdBusUnits::Options{.way = UnitWay::kUser,
                                                              .slice = "shadowtest.slice",
                                                              .store_id = directory_.path(),
                                                              .secrets_dir = directory_.path(),
                                                              .clock = clock_});
    return *units_;
  }
  // The program of SpecOf does as it is told by SIGUSR1: it ends with status 3.
  void Exit(const std::string& id, int code, int status) {
    const auto unit = units_->Get(id);
    REQUIRE(unit.ok());
    REQUIRE(unit->has_value());
    if (code == 2) {
      REQUIRE(kill((*unit)->main_pid, status) == 0);
    } else {
      REQUIRE(kill((*unit)->main_pid, status == 0 ? SIGUSR2 : SIGUSR1) == 0);
    }
  }
  const std::string& path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  SystemClock clock_;
  std::unique_ptr<Units> units_;
};

#ifdef SHADOW_USER_UNITS
using Places = std::tuple<UserUnitsPlace>;
#else
using Places = std::tuple<FakeUnitsPlace, GatedUnitsPlace>;
#endif

template <typename Place>
UnitSpec SpecOf(const Place& place, const std::string& id) {
  UnitSpec spec;
  spec.id = id;
  spec.pool = "web-1";
  spec.shadow = "r0123456789ab";
  if constexpr (std::is_same_v<Place, GatedUnitsPlace>) {
    spec.store_id = place.store_id();
  } else if constexpr (requires { place.path(); }) {
    spec.store_id = place.path();
    spec.log_path = place.path() + "/" + id + ".log";
  } else {
    spec.store_id = "store";
  }
  spec.epoch = spec.store_id + "/1";
  spec.revision_name = "dnas/web@0123456789ab";
  spec.dna = TestDna({"/bin/bash", "-c",
                      "trap 'exit 3' USR1; trap 'exit 0' USR2; echo ready; "
                      "while :; do sleep 0.05; done"})
                 .dna;
  if constexpr (std::is_same_v<Place, GatedUnitsPlace>) {
    spec.dna.mutable_security()->set_dynamic_user(true);
  }
  spec.port = 20001;
  return spec;
}

std::optional<UnitView> ViewOf(Units& units, const std::string& id) {
  const auto unit = units.Get(id);
  INFO(unit.status());
  REQUIRE(unit.ok());
  return *unit;
}

// Whether `holds(view)` comes true.
template <typename Holds>
bool UnitBecomes(Units& units, const std::string& id, const Holds& holds) {
  return PollUntil(kPatience, [&] { return holds(ViewOf(units, id)); });
}

// Started, and as far as it has said so itself.
template <typename Place>
void StartUnit(Place& place, const UnitSpec& spec) {
  const absl::Status started = place.units().Start(spec);
  INFO(started);
  REQUIRE(started.ok());
  if (spec.log_path.empty()) return;
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(spec.log_path).starts_with("ready"); }));
}

TEMPLATE_LIST_TEST_CASE("a unit is started once, and carries its tags", "", Places) {
  TestType place;
  const UnitSpec spec = SpecOf(place, "i1");
  StartUnit(place, spec);
  const auto first = ViewOf(place.units(), "i1");
  REQUIRE(first.has_value());
  CHECK(first->id == "i1");
  CHECK(first->pool == spec.pool);
  CHECK(first->shadow == spec.shadow);
  CHECK(first->store_id == spec.store_id);
  CHECK(first->epoch == spec.epoch);
  CHECK(first->revision_name == spec.revision_name);
  CHECK(first->port == spec.port);
  CHECK(first->active_state == "active");
  CHECK(first->sub_state == "running");
  CHECK(first->freezer_state == "running");
  CHECK(first->main_pid > 0);

  CHECK(place.units().Start(spec).ok());
  CHECK(ViewOf(place.Reopen(), "i1")->main_pid == first->main_pid);
}

TEMPLATE_LIST_TEST_CASE("a unit is frozen and thawed, each as often as one likes", "", Places) {
  TestType place;
  StartUnit(place, SpecOf(place, "i1"));
  const v1::Dna dna = SpecOf(place, "i1").dna;
  Units& units = place.units();
  CHECK(units.Resume("i1", dna).ok());
  for (int i = 0; i < 2; ++i) {
    REQUIRE(units.Suspend("i1").ok());
    CHECK(ViewOf(units, "i1")->freezer_state == "frozen");
  }
  for (int i = 0; i < 2; ++i) {
    REQUIRE(units.Resume("i1", dna).ok());
    CHECK(ViewOf(units, "i1")->freezer_state == "running");
  }
}

TEMPLATE_LIST_TEST_CASE("a unit that is not there can be stopped and forgotten, nothing else", "",
                        Places) {
  TestType place;
  Units& units = place.units();
  CHECK_FALSE(ViewOf(units, "i1").has_value());
  CHECK(units.Stop("i1", false).ok());
  CHECK(units.Stop("i1", true).ok());
  CHECK(units.Forget("i1").ok());
  CHECK(absl::IsNotFound(units.Suspend("i1")));
  CHECK(absl::IsNotFound(units.Resume("i1", v1::Dna())));
  CHECK(absl::IsNotFound(units.Signal("i1", SIGUSR1)));
  const auto all = units.List();
  REQUIRE(all.ok());
  CHECK(all->empty());
}

TEMPLATE_LIST_TEST_CASE("a unit that is stopped is gone, also a frozen one", "", Places) {
  TestType place;
  Units& units = place.units();
  const bool frozen = GENERATE(false, true);
  StartUnit(place, SpecOf(place, "i1"));
  if (frozen) REQUIRE(units.Suspend("i1").ok());
  REQUIRE(units.Stop("i1", false).ok());
  CHECK(UnitBecomes(units, "i1", [](const auto& unit) { return !unit.has_value(); }));
}

TEMPLATE_LIST_TEST_CASE("a unit that was killed is kept until it is forgotten", "", Places) {
  TestType place;
  Units& units = place.units();
  const bool frozen = GENERATE(false, true);
  StartUnit(place, SpecOf(place, "i1"));
  if (frozen) REQUIRE(units.Suspend("i1").ok());
  REQUIRE(units.Stop("i1", true).ok());
  REQUIRE(UnitBecomes(units, "i1",
                      [](const auto& unit) { return !unit || unit->active_state == "failed"; }));
  REQUIRE(units.Forget("i1").ok());
  CHECK(UnitBecomes(units, "i1", [](const auto& unit) { return !unit.has_value(); }));
}

TEMPLATE_LIST_TEST_CASE("a unit that has ended by itself says how, and is forgotten", "", Places) {
  TestType place;
  Units& units = place.units();
  struct Row {
    int code, status;
    const char* active;
    const char* result;
  };
  const auto row = GENERATE(Row{1, 0, "active", "success"}, Row{1, 3, "failed", "exit-code"},
                            Row{2, SIGKILL, "failed", "signal"});
  StartUnit(place, SpecOf(place, "i1"));
  place.Exit("i1", row.code, row.status);
  REQUIRE(UnitBecomes(units, "i1", [&](const auto& unit) {
    return unit && unit->active_state == row.active && unit->main_pid == 0;
  }));
  const auto unit = ViewOf(place.Reopen(), "i1");
  REQUIRE(unit.has_value());
  CHECK(unit->result == row.result);
  CHECK(unit->exec_main_code == row.code);
  CHECK(unit->exec_main_status == row.status);
  CHECK(absl::IsNotFound(place.units().Suspend("i1")));
  CHECK(absl::IsNotFound(place.units().Resume("i1", v1::Dna())));
  REQUIRE(place.units().Forget("i1").ok());
  CHECK(UnitBecomes(place.units(), "i1", [](const auto& now) { return !now.has_value(); }));
}

TEMPLATE_LIST_TEST_CASE("a list has every unit of its store", "", Places) {
  TestType place;
  std::set<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.insert("i" + std::to_string(i));
    StartUnit(place, SpecOf(place, "i" + std::to_string(i)));
  }
  REQUIRE(place.units().Suspend("i1").ok());
  place.Exit("i2", 1, 3);
  REQUIRE(UnitBecomes(place.units(), "i2",
                      [](const auto& unit) { return unit && unit->active_state == "failed"; }));
  const auto all = place.Reopen().List();
  INFO(all.status());
  REQUIRE(all.ok());
  std::set<std::string> listed;
  for (const UnitView& unit : *all) {
    listed.insert(unit.id);
    CHECK((unit.freezer_state == "frozen") == (unit.id == "i1"));
    CHECK((unit.active_state == "failed") == (unit.id == "i2"));
    CHECK((unit.main_pid == 0) == (unit.id == "i2"));
    if (unit.id == "i2") CHECK(unit.exec_main_status == 3);
  }
  CHECK(listed == ids);
}

TEMPLATE_LIST_TEST_CASE("who listens to units hears of one that has ended", "", Places) {
  Heard heard;  // Outlives the units.
  TestType place;
  place.units().Listen(heard.Listener());
  StartUnit(place, SpecOf(place, "i1"));
  if constexpr (std::is_same_v<TestType, GatedUnitsPlace>) place.AwaitListener();
  place.Exit("i1", 1, 3);
  CHECK(PollUntil(kPatience, [&] { return heard.ids().contains("i1"); }));
}

}  // namespace
}  // namespace shadow
