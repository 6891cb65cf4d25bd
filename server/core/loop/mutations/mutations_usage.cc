// Demand by hand: samples in, analysis and forecasts out.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/planning.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int kStreamSamplesMax = 10'000;
constexpr int kBatchSamplesMax = 100'000;
constexpr int kQuantilesMax = 32;
const std::vector<double>& DefaultQuantiles() {
  static const std::vector<double> kDefault = {0.05, 0.5, 0.95, 0.99};
  return kDefault;
}

// The commonest way to be too late: history for a pool that has samples of its own.
absl::Status CheckHistory(const PoolEntry& pool, const Samples& samples) {
  if (samples.empty() || !samples[0].has_time()) return absl::OkStatus();
  const absl::Time first = FromProto(samples[0].time());
  if (first > pool.demand.last_sample) return absl::OkStatus();
  return FieldError("samples[0].time",
                    absl::StrCat(absl::FormatTime(first, absl::UTCTimeZone()),
                                 " is not after the newest sample, ",
                                 absl::FormatTime(pool.demand.last_sample, absl::UTCTimeZone()),
                                 "; with an overlap of FAIL or SKIP history is taken"));
}

absl::Status CheckCount(const Samples& samples, int samples_max) {
  if (samples.size() <= samples_max) return absl::OkStatus();
  return FieldError(
      "samples",
      absl::StrCat(samples.size(), " are too many for one message; at most ", samples_max));
}

// How many were taken.
absl::StatusOr<int> TakeWithHistory(Changes& changes, const v1::ReportUsageBatchRequest& request) {
  const auto found = FindPool(changes.world(), request.pool(), "pool");
  if (!found.ok()) return found.status();
  if (absl::Status count = CheckCount(request.samples(), kBatchSamplesMax); !count.ok()) {
    return count;
  }
  if (!v1::ReportUsageBatchRequest::Overlap_IsValid(request.overlap())) {
    return FieldError("overlap",
                      absl::StrCat(static_cast<int>(request.overlap()), " is not FAIL or SKIP"));
  }
  return TakeHistory(changes, **found, request.samples(), request.overlap(),
                     request.validate_only());
}

absl::Status Take(Changes& changes, const std::string& pool_name, const Samples& samples,
                  int samples_max, bool validate_only) {
  const auto found = FindPool(changes.world(), pool_name, "pool");
  if (!found.ok()) return found.status();
  if (absl::Status count = CheckCount(samples, samples_max); !count.ok()) return count;
  if (absl::Status late = CheckHistory(**found, samples); !late.ok()) return late;
  const absl::Status checked = CheckSamples(**found, samples, changes.now().wall, "samples");
  if (!checked.ok()) return checked;
  if (!validate_only) Ingest(changes, **found, samples);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> QuantilesOf(const v1::GetForecastRequest& request) {
  if (request.quantiles().empty()) return DefaultQuantiles();
  if (request.quantiles_size() > kQuantilesMax) {
    return FieldError("quantiles", absl::StrCat(request.quantiles_size(), " are too many; at most ",
                                                kQuantilesMax));
  }
  double last = 0;
  for (int i = 0; i < request.quantiles_size(); ++i) {
    const double quantile = request.quantiles(i);
    if (!(quantile > last && quantile < 1)) {
      return FieldError(absl::StrCat("quantiles[", i, "]"),
                        absl::StrCat(quantile, " is not ascending within (0, 1)"));
    }
    last = quantile;
  }
  return std::vector<double>(request.quantiles().begin(), request.quantiles().end());
}

absl::StatusOr<int64_t> StepsOf(const PoolEntry& pool, const v1::GetForecastRequest& request) {
  const absl::Duration step = pool.spec->step;
  const absl::Duration horizon =
      request.has_horizon() ? FromProto(request.horizon()) : pool.spec->season_lengths.front();
  const int64_t steps = absl::Ceil(horizon, step) / step;
  const int64_t steps_max = HorizonStepsMax(*pool.spec);
  if (steps < 1 || steps > steps_max) {
    return FieldError("horizon", absl::StrCat(absl::FormatDuration(horizon), " is not 1 to ",
                                              steps_max, " steps of ", absl::FormatDuration(step)));
  }
  return steps;
}

// The last actual against the median that was forecast for its step.
std::optional<double> Deviation(const PoolEntry& pool, const v1::Forecast& forecast) {
  const auto median = std::find(forecast.quantiles().begin(), forecast.quantiles().end(), 0.5);
  if (!pool.demand.value.has_value() || forecast.points().empty() ||
      median == forecast.quantiles().end()) {
    return std::nullopt;
  }
  const double expected =
      forecast.points(0).values(static_cast<int>(median - forecast.quantiles().begin()));
  if (expected <= 0) return std::nullopt;
  return (*pool.demand.value - expected) / expected;
}

}  // namespace

Answer Execute(Changes& changes, const v1::ReportUsageRequest& request) {
  const absl::Status taken =
      Take(changes, request.pool(), request.samples(), kStreamSamplesMax, false);
  if (!taken.ok()) return taken;
  v1::ReportUsageResponse response;
  response.set_accepted_samples(request.samples_size());
  return AnswerWith(response);
}

Answer Execute(Changes& changes, const v1::ReportUsageBatchRequest& request) {
  v1::ReportUsageBatchResponse response;
  if (request.overlap() != v1::ReportUsageBatchRequest::OVERLAP_UNSPECIFIED) {
    const auto taken = TakeWithHistory(changes, request);
    if (!taken.ok()) return taken.status();
    response.set_accepted_samples(*taken);
    return AnswerWith(response);
  }
  const absl::Status taken =
      Take(changes, request.pool(), request.samples(), kBatchSamplesMax, request.validate_only());
  if (!taken.ok()) return taken;
  response.set_accepted_samples(request.samples_size());
  return AnswerWith(response);
}

Answer Execute(Changes& changes, const v1::AnalyzePoolUsageRequest& request) {
  const auto found = FindPool(changes.world(), request.pool(), "pool");
  if (!found.ok()) return found.status();
  PoolEntry& pool = **found;
  const absl::Time now = changes.now().wall;
  v1::AnalyzePoolUsageResponse response;
  if (!request.validate_only()) CloseSteps(pool, now, now);
  *response.mutable_usage() = UsageNow(pool, now);
  const int steps = static_cast<int>(
      std::clamp<int64_t>(absl::Ceil(pool.spec->look_ahead, pool.spec->step) / pool.spec->step, 1,
                          kForecastStepsMax / 2));
  auto forecast = ForecastFrom(pool, now, steps, DefaultQuantiles());
  if (forecast.ok()) {
    const auto deviation = Deviation(pool, *forecast);
    if (deviation.has_value()) response.set_deviation(*deviation);
    *response.mutable_forecast() = *std::move(forecast);
  }
  if (request.validate_only()) {
    v1::Decision decision = Decide(v1::Decision::SIZE, InputsNow(pool, now), now);
    decision.set_pool(request.pool());
    decision.set_explanation(Explain(decision));
    *response.mutable_decision() = std::move(decision);
  } else {
    *response.mutable_decision() = DecideAndAct(changes, pool, v1::Decision::SIZE, true);
    DecideAndAct(changes, pool, v1::Decision::LEVEL);
  }
  return AnswerWith(std::move(response));
}

Answer Execute(Changes& changes, const v1::GetForecastRequest& request) {
  const auto found = FindPool(changes.world(), request.pool(), "pool");
  if (!found.ok()) return found.status();
  const auto quantiles = QuantilesOf(request);
  if (!quantiles.ok()) return quantiles.status();
  const auto steps = StepsOf(**found, request);
  if (!steps.ok()) return steps.status();
  if (request.history_steps() < 0 || request.history_steps() > kForecastStepsMax) {
    return FieldError("history_steps",
                      absl::StrCat(request.history_steps(), " is not 0 to ", kForecastStepsMax));
  }
  auto forecast = ForecastFrom(**found, changes.now().wall, *steps, *quantiles);
  if (!forecast.ok()) return forecast.status();
  return AnswerWith(*std::move(forecast));
}

}  // namespace shadow
