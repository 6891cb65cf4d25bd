#include "server/core/simulation/report.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

v1::Pool ReportedPool() {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  *pool.mutable_step() = ToProto(absl::Minutes(5));
  pool.set_external_capacity(20);
  pool.set_instance_capacity(10);
  pool.mutable_policy()->set_service_level(0.97);
  *pool.mutable_provisioning_lead() = ToProto(absl::Minutes(10));
  const auto compiled = CompilePool(pool);
  REQUIRE(compiled.ok());
  v1::Pool shown = compiled->pool;
  *shown.mutable_provisioning_lead() = pool.provisioning_lead();
  return shown;
}

DemandSeries Days(int days) {
  DemandSeries series{
      .begin = absl::FromUnixSeconds(1'700'006'400), .step = absl::Minutes(5), .values = {}};
  for (int i = 0; i < days * 288; ++i) {
    series.values.push_back(60 + 50 * std::sin(i * 2 * 3.14159265358979 / 288));
  }
  return series;
}

v1::SimulateResponse Simulate(const v1::SimulateRequest& request, int days,
                              const v1::Pool& pool = ReportedPool()) {
  const auto replay = CompileSimulation(request, pool, Days(days));
  REQUIRE(replay.ok());
  std::vector<v1::Pool> specs;
  for (const Variant& variant : replay->variants) specs.push_back(variant.spec);
  const auto replayed =
      ReplayAll(specs, replay->series,
                {.leads = replay->leads,
                 .instances_max = std::min(replay->host.Most(), kReplayInstancesMax),
                 .first_scored = replay->first_scored});
  REQUIRE(replayed.ok());
  return ReportSimulation(*replay, *replayed);
}

TEST_CASE("a simulation without wishes is of the pool's own policy") {
  const auto replay = CompileSimulation({}, ReportedPool(), Days(8));
  REQUIRE(replay.ok());
  REQUIRE(replay->variants.size() == 1);
  CHECK(replay->variants[0].label == "service level 0.97");
  CHECK(replay->first_scored == 2 * 288);  // A quarter of 8 days is less than 5 seasons.
  CHECK(replay->leads.provisioning == absl::Minutes(10));
  CHECK(replay->leads.activation == absl::Seconds(2));  // Nothing was learned.
  CHECK(CompileSimulation({}, ReportedPool(), Days(40))->first_scored == 5 * 288);
}

TEST_CASE("what a request asks for wrongly is named") {
  const auto error = [](const v1::SimulateRequest& request) {
    return std::string(CompileSimulation(request, ReportedPool(), Days(4)).status().message());
  };
  v1::SimulateRequest request;
  request.add_variants()->set_service_level(1);
  CHECK(error(request) == "variants[0].service_level: 1 is not in (0, 1)");
  request.Clear();
  request.add_variants();
  request.add_variants()->mutable_policy()->set_headroom(0.5);
  CHECK(error(request).starts_with("variants[1].policy.headroom: "));
  request.Clear();
  for (int i = 0; i < 17; ++i) request.add_variants();
  CHECK(error(request) == "variants: 17 are too many; at most 16");
  request.Clear();
  request.mutable_prices()->set_idle_cost_per_instance_hour(-1);
  CHECK(error(request) == "prices.idle_cost_per_instance_hour: -1 is not a number from 0 to 1e+12");
  request.Clear();
  request.set_plot_points(2001);
  CHECK(error(request) == "plot_points: 2001 is not 0 to 2000");
  request.Clear();
  *request.mutable_provisioning_lead() = ToProto(absl::Hours(25));
  CHECK(error(request) == "provisioning_lead: 25h is not in (0, 24h]");
  request.Clear();
  *request.mutable_warm_up() = ToProto(absl::Hours(96));
  const auto short_of = CompileSimulation(request, ReportedPool(), Days(4)).status();
  CHECK(absl::IsFailedPrecondition(short_of));
  CHECK(short_of.message() ==
        "pools/web has 96h of demand; a replay needs its warm-up, 96h, and a step of 5m");
}

TEST_CASE("a policy is called by what it goes by: its service level, or its costs") {
  CHECK(CompileSimulation({}, ReportedPool(), Days(8))->variants[0].label == "service level 0.97");
  v1::Pool pool = ReportedPool();
  pool.mutable_policy()->set_idle_cost(1);
  pool.mutable_policy()->set_shortage_cost(50);
  CHECK(CompileSimulation({}, pool, Days(8))->variants[0].label == "by costs");
}

TEST_CASE("the grid is the pool's, or that of samples further apart, or the one asked for") {
  v1::SimulateRequest request;
  CHECK(*StepOf(request, ReportedPool()) == absl::Minutes(5));
  v1::Pool fine = ReportedPool();
  *fine.mutable_step() = ToProto(absl::Seconds(1));
  CHECK(GridOf(fine) == absl::Seconds(54));
  *fine.mutable_season_lengths(0) = ToProto(absl::Minutes(1));
  CHECK(GridOf(fine) == absl::Seconds(1));
  for (int i = 0; i < 3; ++i) {
    *request.add_samples()->mutable_time() = ToProto(absl::FromUnixSeconds(i * 1800));
  }
  CHECK(*StepOf(request, ReportedPool()) == absl::Minutes(30));
  *request.mutable_samples(1)->mutable_time() = ToProto(absl::FromUnixSeconds(7200));
  *request.mutable_samples(2)->mutable_time() = ToProto(absl::FromUnixSeconds(14400));
  CHECK(*StepOf(request, ReportedPool()) == absl::Hours(1));  // No step is longer.
  *request.mutable_step() = ToProto(absl::Minutes(15));
  CHECK(*StepOf(request, ReportedPool()) == absl::Minutes(15));
  *request.mutable_step() = ToProto(absl::Milliseconds(1500));
  CHECK(ErrorField(StepOf(request, ReportedPool()).status()) == "step");
}

TEST_CASE("a simulation tells what each policy and each alternative has cost and missed") {
  v1::SimulateRequest request;
  request.add_variants()->set_service_level(0.9);
  request.add_variants()->set_service_level(0.99);
  request.mutable_prices()->set_idle_cost_per_instance_hour(1);
  request.mutable_prices()->set_shortage_cost_per_instance_hour(20);
  request.set_plot_points(50);
  const v1::SimulateResponse response = Simulate(request, 4);
  CHECK(response.scored_steps() == 3 * 288);
  CHECK(FromProto(response.warm_up()) == absl::Hours(24));
  REQUIRE(response.variants_size() == 2);
  for (const v1::Outcome& outcome : response.variants()) {
    CHECK(outcome.points_size() == 50);
    CHECK(outcome.decisions() > 0);
    CHECK(outcome.cost() ==
          Approx(outcome.idle_instance_hours() + 20 * outcome.unserved_instance_hours()));
    CHECK(outcome.hit_rate() ==
          Approx(1 - static_cast<double>(outcome.missed_steps()) / (3 * 288)));
    CHECK(outcome.misses_size() == std::min<int64_t>(100, outcome.missed_steps()));
  }
  REQUIRE(response.alternatives_size() == 4);
  CHECK(response.alternatives(0).kind() == v1::Outcome::FIXED_POOL);
  CHECK(response.alternatives(1).as_good_as() == "service level 0.99");
  CHECK(response.alternatives(1).hit_rate() >= response.variants(1).hit_rate());
  CHECK(response.alternatives(2).kind() == v1::Outcome::REACTIVE);
  CHECK(response.alternatives(3).label() == "no shadow");
  CHECK(response.alternatives(3).missed_steps() > 0);
  const v1::Recommendation& best = response.recommendation();
  REQUIRE(best.options_size() == 2);
  CHECK(best.cost() == std::min(best.options(0).cost(), best.options(1).cost()));
}

TEST_CASE("one policy with prices is weighed against itself at other levels") {
  v1::SimulateRequest request;
  request.mutable_prices()->set_idle_cost_per_instance_hour(1);
  const v1::SimulateResponse response = Simulate(request, 4);
  CHECK(response.variants_size() == 1);
  REQUIRE(response.recommendation().options_size() == 6);
  CHECK(response.recommendation().options(5).service_level() == 0.999);
  CHECK(response.recommendation().service_level() == 0.9);  // Only idle costs.
  CHECK_FALSE(Simulate({}, 4).has_recommendation());
}

v1::Pool PoolByCosts() {
  v1::Pool pool = ReportedPool();
  pool.mutable_policy()->set_idle_cost(2);
  pool.mutable_policy()->set_shortage_cost(50);
  return pool;
}

TEST_CASE("a policy by costs is weighed against service levels, and may win") {
  const v1::SimulateResponse response = Simulate({}, 4, PoolByCosts());
  REQUIRE(response.variants_size() == 1);
  CHECK(response.variants(0).service_level() == 0);
  const v1::Recommendation& best = response.recommendation();
  REQUIRE(best.options_size() == 7);
  CHECK(best.options(0).label() == "by costs");
  CHECK(best.options(0).service_level() == 0);
  CHECK(best.options(0).cost() == response.variants(0).cost());
  CHECK(best.options(1).label() == "service level 0.9");
  for (const v1::Recommendation::Option& option : best.options()) {
    CHECK(best.cost() <= option.cost());
  }
}

TEST_CASE("a replay names the limit that caused its misses, and what would have done") {
  v1::Pool pool = ReportedPool();
  pool.mutable_policy()->set_max_shadow_instances(2);
  const v1::Outcome bounded = Simulate({}, 4, pool).variants(0);
  REQUIRE(bounded.limits_size() == 1);
  const v1::BindingLimit& limit = bounded.limits(0);
  CHECK(limit.kind() == v1::BindingLimit::MAX_SHADOW_INSTANCES);
  CHECK(limit.value() == 2);
  CHECK(limit.missed_steps() > bounded.missed_steps() / 2);
  CHECK(limit.missing_instances() == limit.sufficient() - 2);
  pool.mutable_policy()->set_max_shadow_instances(limit.sufficient());
  CHECK(Simulate({}, 4, pool).variants(0).limits().empty());

  pool.set_shadow_instances_left(2);
  const v1::SimulateResponse left = Simulate({}, 4, pool);
  REQUIRE(left.variants(0).limits_size() == 1);
  CHECK(left.variants(0).limits(0).kind() == v1::BindingLimit::INSTANCES_MAX);
  CHECK(left.variants(0).limits(0).missed_steps() == limit.missed_steps());
  for (const v1::Outcome& outcome : left.alternatives()) {
    if (outcome.kind() != v1::Outcome::NO_SHADOW) CHECK(outcome.missed_steps() > 0);
  }
  pool.set_balancer_slots(pool.managed_instances() + 1);
  const v1::Outcome slots = Simulate({}, 4, pool).variants(0);
  REQUIRE(slots.limits_size() == 1);
  CHECK(slots.limits(0).kind() == v1::BindingLimit::BALANCER_SLOTS);
  CHECK(slots.limits(0).value() == 1);
}

TEST_CASE("a level that limits keep out of reach is not recommended") {
  v1::SimulateRequest request;
  request.mutable_prices()->set_idle_cost_per_instance_hour(1);
  request.mutable_prices()->set_shortage_cost_per_instance_hour(1000);
  v1::Pool pool = ReportedPool();
  pool.mutable_policy()->set_max_shadow_instances(2);
  const v1::Recommendation none = Simulate(request, 4, pool).recommendation();
  CHECK(none.label().empty());
  for (const v1::Recommendation::Option& option : none.options()) CHECK(option.out_of_reach());
  REQUIRE(none.limits_size() == 1);
  CHECK(none.limits(0).kind() == v1::BindingLimit::MAX_SHADOW_INSTANCES);
  CHECK(none.limits(0).missing_instances() > 0);
  const v1::Recommendation any = Simulate(request, 4).recommendation();
  CHECK_FALSE(any.label().empty());
  CHECK(any.limits().empty());
}

TEST_CASE("a fixed pool has the most that the policy may have that it is compared with") {
  v1::SimulateRequest request;
  request.add_variants()->mutable_policy()->set_max_shadow_instances(2);
  request.add_variants()->mutable_policy()->set_max_shadow_instances(50);
  const v1::SimulateResponse response = Simulate(request, 4);
  request.mutable_variants()->SwapElements(0, 1);
  const v1::SimulateResponse swapped = Simulate(request, 4);
  REQUIRE(response.alternatives_size() == 4);
  REQUIRE(swapped.alternatives_size() == 4);
  CHECK(response.alternatives(0).SerializeAsString() ==
        swapped.alternatives(1).SerializeAsString());
  CHECK(response.alternatives(2).SerializeAsString() ==
        swapped.alternatives(2).SerializeAsString());
}

TEST_CASE("alternatives have the most that the policy's overrides allow") {
  v1::Pool pool = ReportedPool();
  const auto missed = [&] { return Simulate({}, 4, pool).alternatives(1).missed_steps(); };
  const int64_t any = missed();
  pool.mutable_policy()->set_max_shadow_instances(1);
  CHECK(missed() > any);
  pool.mutable_policy()->add_overrides()->set_max_shadow_instances(100);
  CHECK(missed() == any);
}

TEST_CASE("a policy with costs is priced by them, unless other prices are given") {
  const v1::Pool pool = PoolByCosts();
  const auto simulation = CompileSimulation({}, pool, Days(8));
  REQUIRE(simulation->prices.has_value());
  CHECK(simulation->prices->idle_cost_per_instance_hour() == 2);
  CHECK(simulation->prices->shortage_cost_per_instance_hour() == 50);
  CHECK(simulation->variants.size() == 7);  // With those that are only weighed.
  const auto evaluation = CompileEvaluation({}, pool, Days(8));
  CHECK(evaluation->prices->shortage_cost_per_instance_hour() == 50);
  CHECK(evaluation->variants.size() == 1);
  v1::EvaluatePoolRequest request;
  request.mutable_prices()->set_shortage_cost_per_instance_hour(7);
  const auto otherwise = CompileEvaluation(request, pool, Days(8));
  CHECK(otherwise->prices->idle_cost_per_instance_hour() == 0);
  CHECK(otherwise->prices->shortage_cost_per_instance_hour() == 7);
  CHECK_FALSE(CompileEvaluation({}, ReportedPool(), Days(8))->prices.has_value());
  v1::SimulateRequest variant;
  variant.add_variants()->mutable_policy()->set_idle_cost(3);
  variant.mutable_variants(0)->mutable_policy()->set_shortage_cost(4);
  CHECK(CompileSimulation(variant, pool, Days(8))->prices->idle_cost_per_instance_hour() == 3);
}

TEST_CASE("an evaluation needs a season to learn from and one to score, and scores the last days") {
  const auto too_little = CompileEvaluation({}, ReportedPool(), Days(1)).status();
  CHECK(absl::IsFailedPrecondition(too_little));
  CHECK(too_little.message() ==
        "pools/web has 24h of demand; an evaluation needs two of its shortest seasons, 48h: one to "
        "learn from and one to score");
  CHECK(CompileEvaluation({}, ReportedPool(), Days(3))->first_scored == 288);
  CHECK(CompileEvaluation({}, ReportedPool(), Days(10))->first_scored == 3 * 288);
  v1::EvaluatePoolRequest request;
  *request.mutable_last() = ToProto(absl::Hours(24));
  const auto replay = CompileEvaluation(request, ReportedPool(), Days(3));
  REQUIRE(replay.ok());
  CHECK(replay->first_scored == 2 * 288);
  CHECK(replay->variants.size() == 1);
  const std::vector<v1::Pool> specs = {replay->variants[0].spec};
  const auto replayed = ReplayAll(specs, replay->series,
                                  {.leads = replay->leads, .first_scored = replay->first_scored});
  REQUIRE(replayed.ok());
  const v1::EvaluatePoolResponse response =
      ReportEvaluation(*replay, *replayed, v1::Policy::OBSERVE);
  CHECK(response.present().kind() == v1::Outcome::BASE_ONLY);
  CHECK(response.present().hit_rate() < response.automatic().hit_rate());
  CHECK(response.present().idle_instance_hours() == 0);
  CHECK(response.alternatives_size() == 3);
}

TEST_CASE("a pool that only reacts is evaluated with a forecast against what it does") {
  v1::Pool pool = ReportedPool();
  pool.mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  pool.mutable_policy()->set_sizing(v1::Policy::REACTIVE);
  const auto replay = CompileEvaluation({}, pool, Days(3));
  REQUIRE(replay.ok());
  REQUIRE(replay->variants.size() == 2);
  CHECK(replay->variants[0].spec.policy().sizing() == v1::Policy::PREDICTIVE);
  CHECK(replay->variants[1].spec.policy().sizing() == v1::Policy::REACTIVE);
}

TEST_CASE("a point stands for its steps by the one with the least to spare") {
  v1::Pool spec;
  spec.set_external_capacity(20);
  spec.set_instance_capacity(10);
  *spec.mutable_step() = ToProto(absl::Minutes(5));
  std::vector<StepTally> tallies(4);
  const std::vector<double> demand = {25, 28, 10, 10};
  for (size_t i = 0; i < 3; ++i) tallies[i].need = 1;
  tallies[0].ready = 1;
  tallies[1].ready = 2;
  tallies[2].active = 1;
  v1::Outcome outcome;
  AddPoints(tallies, demand, spec, absl::FromUnixSeconds(600), 2, outcome);
  REQUIRE(outcome.points_size() == 2);
  CHECK(outcome.points(0).demand() == 25);  // 30 - 25, not 40 - 28.
  CHECK(outcome.points(0).ready() == 30);
  CHECK(outcome.points(1).active() == 30);
  CHECK(FromProto(outcome.points(1).time()) == absl::FromUnixSeconds(1200));
}

}  // namespace
}  // namespace shadow::simulation
