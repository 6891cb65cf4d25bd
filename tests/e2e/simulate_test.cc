// Replays through the real shadowctl and shadowd.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/e2e/shadow_world.h"
#include "tests/fakes/program_run.h"

namespace shadow {
namespace {

// Half-hours of a daily wave that ends now; the pool of the world needs up to four instances.
std::string SomeDays(int days) {
  std::string csv = "timestamp,value\n";
  const absl::Time begin = absl::Now() - absl::Hours(24 * days);
  for (int i = 0; i < days * 48; ++i) {
    const double demand = 150 + 100 * std::sin(i * 2 * 3.14159265358979 / 48);
    absl::StrAppend(&csv, absl::FormatTime(begin + i * absl::Minutes(30), absl::UTCTimeZone()), ",",
                    demand, "\n");
  }
  return csv;
}

TEST_CASE("demand of a file or of the pool is replayed without a trace in the pool") {
  ShadowWorld world({.base_instances = 0, .haproxy = false});
  const std::string before = ShadowWorld::Must(world.FindPool()).SerializeAsString();
  const ProgramResult simulated = Ctl(world,
                                      {"simulate", "web", "--csv", "-", "--service-level", "0.9",
                                       "0.99", "--idle-cost", "1", "--shortage-cost", "20"},
                                      {.text = SomeDays(6), .uid = 0});
  INFO(simulated.err);
  CHECK(simulated.exit_code == 0);
  CHECK_THAT(simulated.out, Catch::Contains("216 steps of 30m, after 36h to learn from") &&
                                Catch::Contains("\nservice level 0.99 ") &&
                                Catch::Contains("\nfixed pool of ") &&
                                Catch::Contains("\nreactive ") && Catch::Contains("\nno shadow ") &&
                                Catch::Contains("\nrecommended: service level 0.9"));
  CHECK(ShadowWorld::Must(world.FindPool()).SerializeAsString() == before);
  CHECK_FALSE(world.FindShadow().has_value());

  const ProgramResult evaluated = Ctl(world, {"pool", "evaluate", "web"});
  CHECK(evaluated.exit_code == 5);
  CHECK_THAT(evaluated.err, Catch::Contains("FAILED_PRECONDITION: pools/web has 0 of demand; an "
                                            "evaluation needs two of its shortest seasons"));
  REQUIRE(Ctl(world, {"usage", "push", "web", "--csv", "-"}, {.text = SomeDays(6), .uid = 0})
              .exit_code == 0);
  const ProgramResult replayed =
      Ctl(world, {"simulate", "web", "--step", "30m", "--lead", "10m", "-o", "json"});
  INFO(replayed.err);
  CHECK(replayed.exit_code == 0);
  CHECK_THAT(replayed.out, Catch::Contains("\"provisioningLead\": \"600s\""));
  const ProgramResult known = Ctl(world, {"pool", "evaluate", "web", "--last", "1d"});
  INFO(known.err);
  CHECK(known.exit_code == 0);
  CHECK_THAT(known.out, Catch::Contains("AUTOMATIC would have met the need in "));

  const ProgramResult missing = Ctl(world, {"simulate", "missing"});
  CHECK(missing.exit_code == 3);
  world.Finish();
}

void SetPolicy(ShadowWorld& world, v1::Policy::Mode mode, int max_shadow_instances) {
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = ShadowWorld::Must(world.FindPool());
  request.mutable_pool()->mutable_policy()->set_mode(mode);
  request.mutable_pool()->mutable_policy()->set_max_shadow_instances(max_shadow_instances);
  ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::UpdatePool, request));
}

TEST_CASE(
    "a pool in OBSERVE is scored unasked, keeps it over a crash, and loses it with the mode") {
  ShadowWorld world({.base_instances = 0, .haproxy = false});
  world.WaitFor("it is said that there is no history", [&] {
    return !ShadowWorld::Must(world.FindPool()).observe_score().unscored_reason().empty();
  });
  CHECK_THAT(
      Ctl(world, {"pool", "get", "web"}).out,
      Catch::Contains("\nweb is only observed; not scored: not enough history: pools/web has "
                      "0 of demand; an evaluation needs two of its shortest seasons"));
  REQUIRE(Ctl(world, {"usage", "push", "web", "--csv", "-"}, {.text = SomeDays(3), .uid = 0})
              .exit_code == 0);
  SetPolicy(world, v1::Policy::OBSERVE, 9);  // Else it is tried again after a minute.
  world.WaitFor("the pool is scored", [&] {
    return ShadowWorld::Must(world.FindPool()).observe_score().has_score_time();
  });
  const v1::ObserveScore score = ShadowWorld::Must(world.FindPool()).observe_score();
  CHECK(score.scored_steps() > 90);  // Two days of half-hours, but for those that have no sample.
  CHECK(score.automatic().hit_rate() > score.base_alone().hit_rate());
  CHECK(score.base_alone().hit_rate() == 0);  // There is no base.
  CHECK_THAT(Ctl(world, {"pool", "get", "web"}).out,
             Catch::Contains("\nweb is only observed; AUTOMATIC would have met the need in ") &&
                 Catch::Contains("% of the steps") && Catch::Contains("\nScored "));
  CHECK_FALSE(world.FindShadow().has_value());

  world.daemon().Kill();
  world.daemon().Start();
  CHECK(ShadowWorld::Must(world.FindPool()).observe_score().SerializeAsString() ==
        score.SerializeAsString());
  SetPolicy(world, v1::Policy::AUTOMATIC, 0);
  CHECK_FALSE(ShadowWorld::Must(world.FindPool()).has_observe_score());
  CHECK_THAT(Ctl(world, {"pool", "get", "web"}).out, !Catch::Contains("only observed"));
  world.Finish();
}

}  // namespace
}  // namespace shadow
