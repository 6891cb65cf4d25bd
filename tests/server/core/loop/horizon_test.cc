// How far GetForecast looks, at any step, and how old the last usage may be.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <optional>

#include "server/core/error.h"
#include "server/core/loop/control_loop.h"
#include "server/core/loop/demand.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

// A pool of a step, with a daily course over three days.
struct Horizon {
  explicit Horizon(absl::Duration pool_step) : step(pool_step) {
    loop.Recover(now);
    REQUIRE(loop.Handle(CreateDna(), now).answer.ok());
    v1::CreatePoolRequest create = CreatePool(1);
    *create.mutable_pool()->mutable_step() = ToProto(step);
    REQUIRE(loop.Handle(create, now).answer.ok());
    v1::ReportUsageBatchRequest report;
    report.set_pool("pools/web");
    for (absl::Time time = now.wall - absl::Hours(72); time < now.wall; time += step) {
      v1::Sample& sample = *report.add_samples();
      *sample.mutable_time() = ToProto(time);
      sample.set_value(Truth(time));
      if (report.samples_size() < 50'000) continue;
      REQUIRE(loop.Handle(report, now).answer.ok());
      report.clear_samples();
    }
    REQUIRE(loop.Handle(report, now).answer.ok());
  }

  static double Truth(absl::Time time) {
    return 100 -
           60 * std::cos(2 * M_PI * absl::FDivDuration(time - absl::UnixEpoch(), absl::Hours(24)));
  }

  absl::StatusOr<v1::Forecast> Ask(std::optional<absl::Duration> horizon) {
    v1::GetForecastRequest request;
    request.set_pool("pools/web");
    request.add_quantiles(0.5);
    if (horizon.has_value()) *request.mutable_horizon() = ToProto(*horizon);
    const Answer answer = loop.Handle(request, now).answer;
    if (!answer.ok()) return answer.status();
    return static_cast<const v1::Forecast&>(**answer);
  }

  ControlLoop loop{{}};
  Instant now{.wall = absl::FromUnixSeconds(1'700'006'400), .mono = absl::Hours(1)};
  absl::Duration step;
};

TEST_CASE("a horizon reaches two of the longest seasons at any step, and no further") {
  for (const absl::Duration step :
       {absl::Seconds(10), absl::Minutes(1), absl::Minutes(5), absl::Minutes(30), absl::Hours(1)}) {
    INFO(step);
    Horizon world(step);
    const absl::Duration longest = std::max(2 * absl::Hours(168), kForecastStepsMax * step);
    for (const absl::Duration horizon : {step, absl::Hours(24), absl::Hours(168), longest}) {
      const auto forecast = world.Ask(horizon);
      REQUIRE(forecast.ok());
      const absl::Duration row = FromProto(forecast->step());
      CHECK(row % step == absl::ZeroDuration());
      CHECK(forecast->points_size() <= kForecastStepsMax);
      CHECK(forecast->points_size() * row >= horizon);
      CHECK((forecast->points_size() - 1) * row < horizon);
      for (int i = 0; i < forecast->points_size(); ++i) {
        const absl::Time time = FromProto(forecast->points(i).time());
        REQUIRE(time == world.now.wall + i * row);
        REQUIRE(forecast->points(i).values(0) ==
                Approx(Horizon::Truth(time + (row - step) / 2)).margin(6));
      }
    }
    const auto beyond = world.Ask(longest + absl::Seconds(1));
    CHECK(absl::IsInvalidArgument(beyond.status()));
    CHECK(ErrorField(beyond.status()) == "horizon");
  }
}

TEST_CASE("the default horizon is one season") {
  Horizon world(absl::Minutes(1));
  const auto forecast = world.Ask(std::nullopt);
  REQUIRE(forecast.ok());
  CHECK(forecast->points_size() == 1440);
  CHECK(FromProto(forecast->step()) == absl::Minutes(1));
}

TEST_CASE("a forecast goes on from usage that is many steps old") {
  Horizon world(absl::Seconds(10));
  world.now.wall += absl::Hours(30);  // 10,800 steps.
  world.now.mono += absl::Hours(30);
  const auto forecast = world.Ask(absl::Hours(24));
  REQUIRE(forecast.ok());
  for (const v1::Forecast::Point& point : forecast->points()) {
    REQUIRE(point.values(0) == Approx(Horizon::Truth(FromProto(point.time()))).margin(6));
  }
}

TEST_CASE("a forecast has as many rows as it needs, of steps that divide a day") {
  CHECK(RowSteps(absl::Minutes(1), 1440) == 1);
  CHECK(RowSteps(absl::Minutes(1), 2016) == 1);
  CHECK(RowSteps(absl::Minutes(1), 10'080) == 5);
  CHECK(RowSteps(absl::Minutes(1), 20'160) == 10);
  CHECK(RowSteps(absl::Seconds(1), 86'400) == 45);  // 43 would do, but divides no day.
  CHECK(RowSteps(absl::Seconds(1), 1'209'600) == 600);
}

}  // namespace
}  // namespace shadow
