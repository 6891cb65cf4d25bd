#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "server/core/simulation/demand_series.h"
#include "server/core/simulation/shared_forecast.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

v1::Sample At(int64_t seconds, double value) {
  v1::Sample sample;
  *sample.mutable_time() = ToProto(absl::FromUnixSeconds(seconds));
  sample.set_value(value);
  return sample;
}

TEST_CASE("samples become means of steps, with gaps where there are none") {
  SeriesBuilder builder(absl::Minutes(1));
  builder.Add(std::vector<v1::Sample>{At(60, 1), At(119, 3)});
  builder.Add(std::vector<v1::Sample>{At(119, 5), At(240, 7)});
  const DemandSeries series = std::move(builder).Build();
  CHECK(series.begin == absl::FromUnixSeconds(60));
  REQUIRE(series.values.size() == 4);
  CHECK(series.values[0] == 3);
  CHECK(std::isnan(series.values[1]));
  CHECK(std::isnan(series.values[2]));
  CHECK(series.values[3] == 7);
  CHECK(std::move(SeriesBuilder(absl::Minutes(1))).Build().values.empty());
}

TEST_CASE("of more than a replay takes the latest steps count, however far they are apart") {
  SeriesBuilder builder(absl::Seconds(1));
  for (int64_t i = 0; i < 2 * kStepsMax + 100; ++i) {
    builder.Add(std::vector<v1::Sample>{At(i, static_cast<double>(i))});
  }
  DemandSeries series = std::move(builder).Build();
  REQUIRE(series.values.size() == kStepsMax);
  CHECK(series.begin == absl::FromUnixSeconds(kStepsMax + 100));
  CHECK(series.values.front() == static_cast<double>(kStepsMax + 100));
  SeriesBuilder gap(absl::Seconds(1));
  gap.Add(std::vector<v1::Sample>{At(0, 1), At(1'000'000'000, 2)});
  series = std::move(gap).Build();
  CHECK(series.values == std::vector<double>{2});
}

TEST_CASE("samples that are no demand are refused with their place") {
  CHECK(CheckSeries(std::vector<v1::Sample>{At(1, 0), At(2, 5)}).ok());
  CHECK(std::string(CheckSeries(std::vector<v1::Sample>{At(1, 0), At(1, 5)}).message()) ==
        "samples[1].time: is missing or not after that of the sample before it");
  CHECK(std::string(CheckSeries(std::vector<v1::Sample>{At(1, -1)}).message())
            .starts_with("samples[0].value: -1 is not a demand"));
  CHECK(CheckSeries(std::vector<v1::Sample>(1)).code() == absl::StatusCode::kInvalidArgument);
  CHECK(MedianDistance(std::vector<v1::Sample>{At(0, 1), At(300, 1), At(600, 1), At(5000, 1)}) ==
        absl::Minutes(5));
  CHECK(MedianDistance(std::vector<v1::Sample>{At(0, 1)}) == absl::ZeroDuration());
}

// Counts what it is asked.
class Counting final : public Forecaster {
 public:
  explicit Counting(int& asked) : asked_(asked) {}
  absl::Status Update(absl::Time step_start, double /*value*/) override {
    last_ = step_start;
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override {
    ++asked_;
    return std::vector<std::vector<double>>(static_cast<size_t>(steps), quantiles);
  }
  TrustVerdict Trust() const override {
    ++asked_;
    return {.trust = ForecastTrust::kTrusted, .reason = ""};
  }
  absl::Time LastStep() const override { return last_; }
  int64_t SampleCount() const override { return 1; }
  std::string Save() const override { return "saved"; }
  absl::Status Restore(std::string_view /*saved*/) override { return absl::OkStatus(); }

 private:
  int& asked_;
  absl::Time last_ = absl::InfinitePast();
};

TEST_CASE("readers of one forecast ask once a step for the same, and never out of step") {
  int asked = 0;
  SharedForecast shared(std::make_unique<Counting>(asked));
  const auto first = shared.NewReader();
  const auto second = shared.NewReader();
  const absl::Time time = absl::FromUnixSeconds(600);
  CHECK(first->Update(time, 1).ok());
  CHECK(absl::IsFailedPrecondition(second->Forecast(1, {0.5}).status()));
  CHECK(second->Trust().trust == ForecastTrust::kStale);
  CHECK(second->Update(time, 1).ok());
  CHECK(absl::IsOutOfRange(second->Update(time, 1)));
  for (const auto& reader : {first.get(), second.get()}) {
    CHECK(reader->Forecast(2, {0.5})->size() == 2);
    CHECK(reader->Trust().trust == ForecastTrust::kTrusted);
    CHECK(reader->LastStep() == time);
  }
  CHECK(asked == 2);
  CHECK(first->Forecast(2, {0.6}).ok());
  CHECK(first->Update(time + absl::Minutes(1), 1).ok());
  CHECK(first->Forecast(2, {0.6}).ok());
  CHECK(asked == 4);
  CHECK(first->Save().empty());
  CHECK_FALSE(first->Restore("saved").ok());
}

}  // namespace
}  // namespace shadow::simulation
