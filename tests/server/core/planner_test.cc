#include "server/core/planner.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

using D = v1::Decision;

const absl::Time kNow = absl::FromUnixSeconds(1'700'006'400);

// Demand 80, base 100, an instance carries 50, headroom 1.1, trusted and predictive; no shadow, and
// none planned.
D::Inputs Quiet() {
  D::Inputs in;
  in.mutable_usage()->set_demand(80);
  in.set_trust(v1::TRUSTED);
  in.set_planned_instances(0);
  in.set_activation_quantile(80);
  in.set_service_level(0.99);
  in.set_base_capacity(100);
  in.set_instance_capacity(50);
  in.set_headroom(1.1);
  in.set_min_predicted_increase(50);
  in.set_max_shadow_instances(100);
  in.set_mode(v1::Policy::AUTOMATIC);
  in.set_sizing(v1::Policy::PREDICTIVE);
  return in;
}

// The same with a shadow of `instances`, `active` of them to serve.
D::Inputs WithShadow(int instances, int active) {
  D::Inputs in = Quiet();
  in.set_current_instances(instances);
  in.set_current_active(active);
  return in;
}

D Size(const D::Inputs& in) { return Decide(D::SIZE, in, kNow); }
D Level(const D::Inputs& in) { return Decide(D::LEVEL, in, kNow); }

bool Has(const D& decision, D::Reason reason) {
  return std::count(decision.reasons().begin(), decision.reasons().end(), reason) > 0;
}

}  // namespace

TEST_CASE("a level and the instances it makes serve are each other's inverse") {
  for (int n = 1; n <= 100; ++n) {
    for (int active = 0; active <= n; ++active) {
      REQUIRE(ActiveCount(n, LevelFor(n, active)) == active);
    }
  }
  CHECK(ActiveCount(3, 34) == 2);
  CHECK(ActiveCount(3, 33) == 1);
  CHECK(LevelFor(3, 2) == 66);
  CHECK(LevelFor(2, 1) == 50);
  CHECK(LevelFor(0, 0) == 0);
}

TEST_CASE("a shadow by hand has ceil((80 + 150 - 100) / 50) = 3 instances, and at least one") {
  CHECK(SizeByHand(80, 150, 100, 50) == 3);
  CHECK(SizeByHand(80, 0, 100, 50) == 1);
  CHECK(SizeByHand(1e300, 1e300, 0, 1e-9) == kInstancesMax);
}

TEST_CASE("three planned instances over a base of 100 are ready for 100 + 3 x 50 = 250") {
  D::Inputs in = Quiet();
  in.set_planned_instances(3);
  const D decision = Size(in);
  CHECK(decision.target_instances() == 3);
  CHECK(decision.target_active() == 0);
  CHECK(decision.ready_need() == 250);
  CHECK(Has(decision, D::PREDICTED_INCREASE));
  CHECK(Explain(decision).find("3 shadow instances are cheapest") != std::string::npos);
}

TEST_CASE("no shadow is made for an increase below the threshold") {
  D::Inputs in = Quiet();
  in.set_planned_instances(1);  // Ready for 150, 70 above the actual.
  in.set_min_predicted_increase(71);
  CHECK(Size(in).target_instances() == 0);
  CHECK(Has(Size(in), D::BELOW_THRESHOLD));
  in.set_min_predicted_increase(70);
  CHECK(Size(in).target_instances() == 1);
}

TEST_CASE("actual demand passes the threshold by itself") {
  D::Inputs in = Quiet();
  in.mutable_usage()->set_demand(120);  // 132 with headroom.
  in.set_min_predicted_increase(1000);
  CHECK(Size(in).target_instances() == 1);
  CHECK(Has(Size(in), D::REACTIVE_NEED));
}

TEST_CASE("a shadow shrinks only if plan, look-ahead and the window of actuals agree") {
  D::Inputs in = WithShadow(3, 0);
  CHECK(Size(in).target_instances() == 0);
  CHECK(Has(Size(in), D::NO_NEED_AHEAD));

  in.set_planned_instances(1);
  CHECK(Size(in).target_instances() == 1);

  in.set_look_ahead_quantile(190);
  CHECK(Size(in).target_instances() == 2);
  in.set_look_ahead_quantile(240);
  CHECK(Size(in).target_instances() == 3);
  CHECK(Has(Size(in), D::NEED_WITHIN_LOOK_AHEAD));

  in = WithShadow(3, 0);
  in.set_window_instances(3);
  CHECK(Size(in).target_instances() == 3);
  CHECK(Has(Size(in), D::WAITING_TO_STABILIZE));

  in = WithShadow(3, 2);  // Two serve, and nothing needs them any more; but a moment ago
  in.set_window_active(2);
  CHECK(Size(in).target_instances() == 2);
  in.set_window_active(0);
  CHECK(Size(in).target_instances() == 0);

  in = WithShadow(3, 0);
  in.set_errors_rising(true);
  CHECK(Size(in).target_instances() == 3);
  CHECK(Has(Size(in), D::ERRORS_RISING));
}

TEST_CASE("missing or stale usage holds everything") {
  for (const bool missing : {false, true}) {
    D::Inputs in = WithShadow(3, 2);
    if (missing) {
      in.mutable_usage()->clear_demand();
    } else {
      in.mutable_usage()->set_stale(true);
    }
    for (const D& decision : {Size(in), Level(in)}) {
      CHECK(decision.target_instances() == 3);
      CHECK(decision.target_active() == 2);
      CHECK(Has(decision, D::USAGE_STALE));
    }
  }
}

TEST_CASE("without a plan, or with one of stale data, it is reactive and never shrinks") {
  for (const bool stale : {false, true}) {
    D::Inputs in = WithShadow(1, 0);
    if (stale) {
      in.set_trust(v1::STALE);
      in.set_planned_instances(9);
    } else {
      in.clear_planned_instances();
    }
    CHECK(Size(in).target_instances() == 1);
    CHECK(Has(Size(in), D::FORECAST_UNTRUSTED));
    in.mutable_usage()->set_demand(180);  // 198 with headroom: ceil(98 / 50) = 2.
    CHECK(Size(in).target_instances() == 2);
  }
}

TEST_CASE(
    "a plan stands where the forecaster does not trust itself: it is only one of its guesses") {
  D::Inputs in = Quiet();
  in.set_trust(v1::WORSE_THAN_NAIVE);
  in.set_planned_instances(2);
  CHECK(Size(in).target_instances() == 2);
}

TEST_CASE("demand that leaves its band makes ready for more of the same") {
  D::Inputs in = Quiet();
  in.mutable_usage()->set_demand(120);
  in.set_planned_instances(1);
  in.set_burst_instances(4);
  CHECK(Size(in).target_instances() == 4);
  in = WithShadow(2, 1);
  in.set_planned_instances(1);
  in.set_burst_instances(4);
  CHECK(Size(in).target_instances() == 4);
  CHECK(Has(Size(in), D::BURST));
  in.set_current_instances(4);
  CHECK(Size(in).target_instances() == 4);  // Nor is it let go meanwhile.
}

TEST_CASE("a pool's share of scarce instances bounds it, also what it has") {
  D::Inputs in = WithShadow(3, 2);
  in.set_planned_instances(5);
  in.set_budget_instances(2);
  CHECK(Size(in).target_instances() == 2);
  CHECK(Size(in).target_active() == 2);
  CHECK(Has(Size(in), D::OVER_BUDGET));
  in.set_min_shadow_instances(4);  // A minimum that there is no room for.
  CHECK(Size(in).target_instances() == 2);
  in.set_budget_instances(7);
  CHECK(Size(in).target_instances() == 5);
  CHECK_FALSE(Has(Size(in), D::OVER_BUDGET));
}

TEST_CASE("a held target stays, whatever the demand") {
  D::Inputs in = WithShadow(2, 1);
  in.mutable_usage()->set_demand(1000);
  *in.mutable_hold_until_time() = ToProto(kNow + absl::Seconds(1));
  for (const D& decision : {Size(in), Level(in)}) {
    CHECK(decision.target_instances() == 2);
    CHECK(decision.target_active() == 1);
    REQUIRE(decision.reasons_size() > 0);
    CHECK(decision.reasons(0) == D::HELD);
  }
  *in.mutable_hold_until_time() = ToProto(kNow);
  CHECK(Level(in).target_instances() == 20);
}

TEST_CASE("OBSERVE decides the same and says so") {
  D::Inputs in = Quiet();
  in.set_planned_instances(3);
  in.set_mode(v1::Policy::OBSERVE);
  CHECK(Size(in).target_instances() == 3);
  CHECK(Has(Size(in), D::OBSERVING));
}

TEST_CASE("the policy bounds the size") {
  D::Inputs in = Quiet();
  in.set_min_shadow_instances(2);
  CHECK(Size(in).target_instances() == 2);
  CHECK(Has(Size(in), D::AT_MINIMUM));
  in = Quiet();
  in.set_max_shadow_instances(2);
  in.set_planned_instances(18);
  CHECK(Size(in).target_instances() == 2);
  CHECK(Has(Size(in), D::AT_MAXIMUM));
}

TEST_CASE("the level rises at once and falls after the window") {
  D::Inputs in = WithShadow(3, 0);
  in.mutable_usage()->set_demand(150);  // 165 with headroom: ceil(65 / 50) = 2.
  CHECK(Level(in).target_active() == 2);
  CHECK(Level(in).target_activation_level() == 66);
  CHECK(Has(Level(in), D::DEMAND_ROSE));

  in = WithShadow(3, 3);
  in.set_window_active(3);
  CHECK(Level(in).target_active() == 3);
  CHECK(Has(Level(in), D::WAITING_TO_STABILIZE));
  in.set_window_active(1);
  CHECK(Level(in).target_active() == 1);
  CHECK(Has(Level(in), D::DEMAND_FELL));
  in.set_errors_rising(true);
  CHECK(Level(in).target_active() == 3);
}

TEST_CASE("a level beyond the shadow's size grows it") {
  D::Inputs in = WithShadow(1, 1);
  in.mutable_usage()->set_demand(300);  // 330 with headroom: ceil(230 / 50) = 5.
  CHECK(Level(in).target_instances() == 5);
  CHECK(Level(in).target_active() == 5);
}

TEST_CASE("where no forecast is used nothing waits suspended") {
  D::Inputs in = Quiet();
  in.set_sizing(v1::Policy::REACTIVE);
  in.mutable_usage()->set_demand(180);
  CHECK(Size(in).target_instances() == 2);
  CHECK(Size(in).target_active() == 2);
}

TEST_CASE("where no forecast is used what the window does not need goes") {
  D::Inputs in = WithShadow(5, 5);
  in.set_sizing(v1::Policy::REACTIVE);
  in.mutable_usage()->set_demand(180);
  in.set_window_instances(3);
  CHECK(Size(in).target_instances() == 3);
  CHECK(Size(in).target_active() == 3);
  CHECK(Has(Size(in), D::NO_NEED_AHEAD));
}

TEST_CASE("more demand never means fewer instances, and the same inputs decide the same") {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> demand(0, 600);
  for (int round = 0; round < 3000; ++round) {
    const int instances = static_cast<int>(random() % 8);
    D::Inputs in = WithShadow(
        instances, instances == 0 ? 0 : static_cast<int>(random() % 4) % (instances + 1));
    in.set_planned_instances(static_cast<int>(random() % 12));
    in.set_activation_quantile(demand(random) / 2);
    if (random() % 2 == 0) in.set_look_ahead_quantile(demand(random));
    if (random() % 8 == 0) in.set_burst_instances(static_cast<int>(random() % 12));
    if (random() % 8 == 0) in.set_budget_instances(static_cast<int>(random() % 12));
    in.set_errors_rising(random() % 4 == 0);
    in.set_trust(random() % 3 == 0 ? v1::STALE : v1::TRUSTED);
    // The threshold compares with the actual, so a size below it is the one exception.
    in.set_min_predicted_increase(0);
    const double low = demand(random);
    D::Inputs more = in;
    in.mutable_usage()->set_demand(low);
    more.mutable_usage()->set_demand(low + demand(random));
    INFO(in.ShortDebugString() << " against " << more.usage().demand());
    REQUIRE(Size(in).SerializeAsString() == Size(in).SerializeAsString());
    REQUIRE(Level(more).target_active() >= Level(in).target_active());
    REQUIRE(Level(more).target_instances() >= Level(in).target_instances());
    REQUIRE(Size(more).target_instances() >= Size(in).target_instances());
  }
}

TEST_CASE("the highest wants of the window are remembered, in bounded space") {
  v1::PlannerState state;
  const absl::Duration window = absl::Minutes(5);
  RememberWant(state, kNow, window, 5, 1);
  RememberWant(state, kNow + absl::Minutes(1), window, 2, 2);
  WantedCounts wants = HighestWants(state, kNow + absl::Minutes(2), window);
  CHECK(wants.instances == 5);
  CHECK(wants.active == 2);
  wants = HighestWants(state, kNow + absl::Minutes(5) + absl::Seconds(1), window);
  CHECK(wants.instances == 2);
  for (int i = 0; i < 2 * kWantsMax; ++i) {
    RememberWant(state, kNow + absl::Minutes(6), window, 2 * kWantsMax - i, i);
  }
  CHECK(state.wants_size() <= kWantsMax);
}

TEST_CASE("a want that is repeated need not be written: a restart takes it up to its last tick") {
  const absl::Duration window = absl::Minutes(5);
  v1::PlannerState state;
  CHECK(RememberWant(state, kNow, window, 3, 3));
  v1::PlannerState written = state;
  CHECK_FALSE(RememberWant(state, kNow + absl::Minutes(4), window, 3, 3));
  ResumeWants(written, kNow + absl::Minutes(4));
  CHECK(written.SerializeAsString() == state.SerializeAsString());
  ResumeWants(written, kNow);  // Never back.
  CHECK(written.SerializeAsString() == state.SerializeAsString());
  CHECK(RememberWant(state, kNow + absl::Minutes(5), window, 3, 2));
}

TEST_CASE("for any inputs, what is not known never makes a shadow smaller or serve less") {
  std::mt19937 random(5);
  const auto pick = [&random](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  for (int round = 0; round < 5'000; ++round) {
    const int instances = pick(6);
    D::Inputs in = WithShadow(instances, pick(instances + 1));
    in.mutable_usage()->set_demand(pick(300));
    in.mutable_usage()->set_stale(true);
    if (pick(2) == 0) in.mutable_usage()->Clear();
    in.set_trust(static_cast<v1::Trust>(pick(4)));
    in.set_planned_instances(pick(8));
    in.set_activation_quantile(pick(300));
    in.set_look_ahead_quantile(pick(300));
    in.set_errors_rising(pick(2) == 0);
    in.set_window_instances(pick(6));
    in.set_window_active(pick(6));
    in.set_sizing(pick(4) == 0 ? v1::Policy::REACTIVE : v1::Policy::PREDICTIVE);
    for (const D& decision : {Size(in), Level(in)}) {
      INFO(decision.explanation());
      REQUIRE(decision.target_instances() == instances);
      REQUIRE(decision.target_active() >= in.current_active());
      if (in.sizing() == v1::Policy::PREDICTIVE) {
        REQUIRE(decision.target_active() == in.current_active());
      }
    }
  }
}

}  // namespace shadow
