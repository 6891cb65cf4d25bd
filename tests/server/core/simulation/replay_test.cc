#include "server/core/simulation/replay.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

constexpr absl::Duration kStep = absl::Minutes(5);
const double kMissing = std::numeric_limits<double>::quiet_NaN();

v1::Pool SomePool(v1::Policy::Sizing sizing = v1::Policy::REACTIVE) {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web@0123456789ab");
  *pool.mutable_step() = ToProto(kStep);
  pool.set_managed_instances(2);
  pool.set_instance_capacity(10);
  pool.mutable_balancer()->mutable_none();
  pool.mutable_policy()->set_sizing(sizing);
  pool.mutable_policy()->set_headroom(1);
  return pool;
}

v1::Pool Spec(const v1::Pool& pool) {
  const auto spec = ReplaySpec(pool, kStep);
  REQUIRE(spec.ok());
  return *spec;
}

DemandSeries Series(std::vector<double> values) {
  return {
      .begin = absl::FromUnixSeconds(1'700'006'400), .step = kStep, .values = std::move(values)};
}

// Days of a wave between 20 and 220, with some noise.
DemandSeries Wave(int days) {
  std::vector<double> values;
  for (int i = 0; i < days * 288; ++i) {
    values.push_back(120 + 100 * std::sin(i * 2 * 3.14159265358979 / 288) +
                     5 * std::sin(i * 12.9898));
  }
  return Series(values);
}

ReplayOptions Options(size_t first_scored, absl::Duration lead = absl::Minutes(10)) {
  return {.leads = {.provisioning = lead, .activation = absl::Seconds(2)},
          .first_scored = first_scored};
}

TEST_CASE("a replayed pool is carried out, has its base, and depends on nothing else") {
  const v1::Pool spec = Spec(SomePool());
  CHECK(spec.external_capacity() == 20);
  CHECK(spec.policy().mode() == v1::Policy::AUTOMATIC);
  CHECK(FromProto(spec.policy().activation_interval()) == kStep);
  CHECK(spec.usage_sources().empty());
  v1::Pool bad = SomePool();
  bad.mutable_policy()->set_service_level(2);
  CHECK(std::string(ReplaySpec(bad, kStep).status().message())
            .starts_with("pool.policy.service_level: "));
}

TEST_CASE("an instance is ready once its lead has passed since the demand that asks for it") {
  // The base carries 20. The 50 of step 1 are known when step 2 begins: three instances are begun,
  // and ready 10 minutes later, in step 4.
  const DemandSeries series = Series({20, 50, 50, 50, 50, 50});
  const std::vector<v1::Pool> specs = {Spec(SomePool())};
  const auto replayed = ReplayAll(specs, series, Options(0));
  REQUIRE(replayed.ok());
  const std::vector<StepTally>& tallies = replayed->front().tallies;
  REQUIRE(tallies.size() == 6);
  std::vector<int> wanted;
  std::vector<int> ready;
  std::vector<int> active;
  int created = 0;
  for (const StepTally& tally : tallies) {
    wanted.push_back(tally.wanted);
    ready.push_back(tally.ready);
    active.push_back(tally.active);
    created += tally.created;
  }
  CHECK(wanted == std::vector<int>{0, 0, 3, 3, 3, 3});
  CHECK(ready == std::vector<int>{0, 0, 0, 0, 3, 3});
  CHECK(active == std::vector<int>{0, 0, 0, 0, 3, 3});
  CHECK(created == 3);
  CHECK(tallies[1].need == std::optional<int>(3));
  CHECK(tallies[1].work == 5);
  CHECK(tallies[0].need == std::optional<int>(0));
  CHECK(ScoreOf(tallies, kStep).missed == 3);
}

TEST_CASE("missing samples are neither scored nor a reason to scale in") {
  std::vector<double> values(40, 50);
  std::fill(values.begin() + 10, values.begin() + 30, kMissing);
  const std::vector<v1::Pool> specs = {Spec(SomePool())};
  const auto replayed = ReplayAll(specs, Series(values), Options(8));
  REQUIRE(replayed.ok());
  const std::vector<StepTally>& tallies = replayed->front().tallies;
  CHECK_FALSE(tallies[2].need.has_value());
  CHECK(std::all_of(tallies.begin(), tallies.end(),
                    [](const StepTally& tally) { return tally.wanted == 3; }));
}

TEST_CASE("policies side by side come to what each comes to alone, every time") {
  const DemandSeries series = Wave(4);
  std::vector<v1::Pool> specs;
  for (const double level : {0.9, 0.99}) {
    v1::Pool pool = SomePool(v1::Policy::PREDICTIVE);
    pool.mutable_policy()->set_service_level(level);
    specs.push_back(Spec(pool));
  }
  specs.push_back(Spec(SomePool(v1::Policy::REACTIVE)));
  const auto together = ReplayAll(specs, series, Options(3 * 288));
  REQUIRE(together.ok());
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto alone = ReplayAll(std::span(specs).subspan(i, 1), series, Options(3 * 288));
    REQUIRE(alone.ok());
    const std::vector<StepTally>& a = alone->front().tallies;
    const std::vector<StepTally>& b = (*together)[i].tallies;
    REQUIRE(a.size() == 288);
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end(),
                     [](const StepTally& x, const StepTally& y) {
                       return x.wanted == y.wanted && x.ready == y.ready && x.active == y.active &&
                              x.created == y.created;
                     }));
    CHECK(alone->front().decisions == (*together)[i].decisions);
  }
  CHECK(ScoreOf((*together)[1].tallies, kStep).hit_rate >
        ScoreOf((*together)[2].tallies, kStep).hit_rate);
}

TEST_CASE("a replay sees no step before it has ended") {
  const std::vector<v1::Pool> specs = {Spec(SomePool(v1::Policy::PREDICTIVE))};
  const DemandSeries whole = Wave(3);
  DemandSeries cut = whole;
  for (size_t t = 700; t < cut.values.size(); ++t) cut.values[t] = 500;
  const auto a = ReplayAll(specs, whole, Options(500));
  const auto b = ReplayAll(specs, cut, Options(500));
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  for (size_t t = 500; t <= 700; ++t) {
    CHECK(a->front().tallies[t - 500].wanted == b->front().tallies[t - 500].wanted);
  }
  CHECK(a->front().tallies[201].wanted != b->front().tallies[201].wanted);
}

TEST_CASE("a daily rise by three times the creations at one time is ready when it comes") {
  // The base carries 20 of 10; from 9:00 to 18:00 it takes six instances more, two at a time.
  std::vector<double> values;
  for (int i = 0; i < 10 * 288; ++i) {
    const int of_day = i % 288;
    values.push_back(of_day >= 108 && of_day < 216 ? 78 : 18);
  }
  const DemandSeries series = Series(values);
  for (const int creations : {2, 32}) {
    INFO(creations << " at one time");
    v1::Pool pool = SomePool(v1::Policy::PREDICTIVE);
    pool.mutable_policy()->set_max_concurrent_creations(creations);
    const std::vector<v1::Pool> specs = {Spec(pool)};
    const auto replayed = ReplayAll(specs, series, Options(7 * 288));
    REQUIRE(replayed.ok());
    for (size_t day = 0; day < 3; ++day) {
      const StepTally& opening = replayed->front().tallies[day * 288 + 108];
      CHECK(opening.need == std::optional<int>(6));
      CHECK(opening.ready >= 6);
      CHECK(replayed->front().tallies[day * 288 + 80].wanted <= 1);  // Not hours before.
    }
  }
}

TEST_CASE("a replay ends when it is cancelled") {
  int asked = 0;
  ReplayOptions options = Options(10);
  options.cancelled = [&asked] { return ++asked > 20; };
  const std::vector<v1::Pool> specs = {Spec(SomePool())};
  CHECK(absl::IsCancelled(ReplayAll(specs, Wave(1), options).status()));
  CHECK(asked == 21);
  CHECK(LeadSteps(absl::Seconds(30), kStep) == 1);
  CHECK(LeadSteps(absl::Minutes(10), kStep) == 2);
  CHECK(LeadSteps(absl::Minutes(11), kStep) == 3);
}

}  // namespace
}  // namespace shadow::simulation
