// A daemon that is killed again and again knows and decides the same as one that never was.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kLooks = 1800;  // 15 hours.
constexpr absl::Duration kInterval = absl::Seconds(30);

#ifdef SHADOW_SANITIZED
constexpr unsigned kRestartSeeds = 1;
#else
constexpr unsigned kRestartSeeds = 5;
#endif

// A daemon that starts decides the level at once, up to an activation interval before the tick at
// which one that was not killed does, which then finds less active.
constexpr const char* kLevel = "LEVEL";
constexpr const char* kActive = "active";
constexpr const char* kClaim = "claim";  // Of scarce instances.

// Everything that decisions go by, and the last ones, by name. A daemon that has just started may
// not have made one of each kind yet.
std::map<std::string, std::string> Known(const PlanningWorld& world, const std::string& id) {
  const PoolEntry& pool = world.simulation.world().pools.at(id);
  const ShadowTargets targets = world.Targets(id);
  v1::PlannerState planner = pool.record.planner();
  planner.clear_late_steps();  // Since the last save: those are made at other times.
  planner.clear_wanted();
  planner.clear_needed();
  // A decision may have waited for a fit that was lost: some milliseconds.
  if (planner.has_size_time()) planner.mutable_size_time()->set_nanos(0);
  std::map<std::string, std::string> known = {
      {"instances", absl::StrCat(targets.instances)},
      {kActive, absl::StrCat(targets.active)},
      {"forecaster", absl::BytesToHexString(pool.forecaster->Save())},
      {"capacity", absl::BytesToHexString(pool.capacity->Save())},
      {kClaim, absl::StrCat(pool.planning.needed, " of ", pool.planning.wanted)},
      {"planner", planner.ShortDebugString()},
      {"sample", absl::FormatTime(pool.demand.last_sample, absl::UTCTimeZone())},
      {"demand", absl::StrCat(pool.demand.value.value_or(-1))},
      {"open step", absl::StrCat(pool.demand.open_step.sum, " in ", pool.demand.open_step.count)}};
  for (const double worth : pool.capacity->Worth(10)) absl::StrAppend(&known["worth"], worth, " ");
  for (const auto& [kind, decision] : pool.planning.last_decisions) {
    v1::Decision plain = decision;
    plain.clear_id();
    plain.mutable_time()->set_nanos(0);
    plain.clear_explanation();  // Only those that are recorded have one.
    known[v1::Decision::Kind_Name(kind)] = plain.ShortDebugString();
  }
  return known;
}

// The first thing that both know and that is not the same; empty: none. `since_start`: intervals
// before this one.
std::string FirstDifference(const PlanningWorld& killed, int since_start,
                            const PlanningWorld& steady, const std::string& id) {
  // It began this very instant, and its step closes when the fit that was lost is there.
  if (since_start == 0 && killed.simulation.world().pools.at(id).learning.awaits_fit) return "";
  const auto wanted = Known(steady, id);
  for (const auto& [name, value] : Known(killed, id)) {
    const auto other = wanted.find(name);
    if (other == wanted.end() || other->second == value) continue;
    if ((name == kActive || name == kClaim) && since_start == 0) continue;
    if (name == kLevel && since_start <= 1) continue;
    return absl::StrCat(name, ": ", value.substr(0, 2000),
                        "\nnot killed: ", other->second.substr(0, 2000));
  }
  return "";
}

DemandShape ShapeOf(std::mt19937& random, unsigned seed) {
  return {.kind = DemandShape::Kind::kDay,
          .low = 60,
          .high = 120.0 + static_cast<double>(random() % 300),
          .noise = static_cast<double>(random() % 30),
          .seed = seed};
}

// One that is killed, and one that is not.
struct Worlds {
  explicit Worlds(int instances_max) : killed(instances_max), steady(instances_max) {}

  void Add(const std::string& id, const DemandShape& shape) {
    for (PlanningWorld* world : {&steady, &killed}) {
      v1::Pool pool = PlanningWorld::Pool(id);
      *pool.mutable_policy()->mutable_activation_interval() = ToProto(kInterval);
      world->Create(pool);
      world->demand[id] = shape;
      world->ImportHistory(id, absl::Hours(72));
    }
  }

  void Run(absl::Duration span) {
    const int starts = killed.simulation.starts();
    steady.Run(span);
    killed.Run(span);
    since_start = killed.simulation.starts() > starts ? 0 : since_start + 1;
  }

  // One of the next inputs of a daemon is its last, one time in `rarity`.
  void MayKill(std::mt19937& random, unsigned rarity) {
    if (random() % rarity != 0) return;
    const int input = killed.simulation.inputs() + 1 + static_cast<int>(random() % 8);
    killed.simulation.KillAfter(input, static_cast<Simulation::UnderWay>(random() % 3));
  }

  void CheckSame(unsigned seed) const {
    INFO("seed " << seed << ", " << killed.simulation.starts() << " starts, at "
                 << absl::FormatTime(killed.now(), absl::UTCTimeZone()));
    for (const auto& [id, shape] : killed.demand) {
      INFO(id);
      REQUIRE(FirstDifference(killed, since_start, steady, id) == "");
    }
  }

  PlanningWorld killed;
  PlanningWorld steady;
  int since_start = 0;  // Of the killed one: whole intervals.
};

}  // namespace

TEST_CASE("a daemon killed at random inputs decides the same as one never killed") {
  for (unsigned seed = 0; seed < kRestartSeeds; ++seed) {
    std::mt19937 random(seed);
    Worlds worlds(1000);
    worlds.Add("web", ShapeOf(random, seed));
    worlds.Run(absl::Hours(6) + absl::Minutes(4));
    for (int look = 0; look < kLooks; ++look) {
      worlds.MayKill(random, 40);
      worlds.Run(kInterval);
      worlds.CheckSame(seed);
    }
    CHECK(worlds.killed.simulation.starts() > 20);
  }
}

TEST_CASE("samples that came after their step was closed do not count after a restart either") {
  std::mt19937 random(1);
  Worlds worlds(1000);
  worlds.Add("web", ShapeOf(random, 1));
  worlds.Run(absl::Hours(6));
  for (int look = 0; look < kLooks; ++look) {
    worlds.MayKill(random, 40);
    worlds.Run(kInterval);
    const absl::Time now = worlds.killed.now();
    const bool step_ended =
        (now - absl::UnixEpoch()) % PlanningWorld::kStep == absl::ZeroDuration();
    if (step_ended && random() % 2 == 0) {
      for (PlanningWorld* world : {&worlds.steady, &worlds.killed}) {
        world->Insist(Report(now - absl::Milliseconds(500), 1000));
      }
    }
    worlds.CheckSame(1);
  }
  CHECK(worlds.killed.simulation.starts() > 10);
}

TEST_CASE("where instances are scarce, a restart does not share them anew") {
  std::mt19937 random(2);
  Worlds worlds(7);
  for (const char* id : {"api", "search", "web"}) worlds.Add(id, ShapeOf(random, 2));
  worlds.Run(absl::Hours(6) + absl::Minutes(4));
  int scarce = 0;
  for (int look = 0; look < kLooks; ++look) {
    worlds.MayKill(random, 40);
    worlds.Run(kInterval);
    worlds.CheckSame(2);
    scarce += worlds.steady.simulation.world().budget.base_and_wanted > 7;
  }
  CHECK(scarce > kLooks / 10);
  CHECK(worlds.killed.simulation.starts() > 10);
}

}  // namespace shadow
