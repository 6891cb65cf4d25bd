#include "server/core/loop/demand.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/error.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/room/low_room.h"
#include "server/core/loop/status/count_figures.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int kLateStepsMax = 64;  // Noted between two saves; beyond them it is saved earlier.
constexpr int kLiveSteps = 3;      // A step that began this long ago is still the present.

v1::Trust TrustProto(ForecastTrust trust) {
  switch (trust) {
    case ForecastTrust::kTrusted:
      return v1::TRUSTED;
    case ForecastTrust::kTooLittleData:
      return v1::TOO_LITTLE_DATA;
    case ForecastTrust::kWorseThanNaive:
      return v1::WORSE_THAN_NAIVE;
    case ForecastTrust::kStale:
      return v1::STALE;
  }
  return v1::TRUST_UNSPECIFIED;
}

// Steps between the forecaster's last one and the one that holds `now`; at least 1.
int64_t StepsSinceLast(const PoolEntry& pool, absl::Time now) {
  const absl::Duration gap = StepStart(now, pool.spec->step) - pool.forecaster->LastStep();
  return std::max<int64_t>(1, gap / pool.spec->step);
}

// The highest `quantile` of the steps from the one that holds `now` through the one that holds
// `now + ahead`, as far as a forecast reaches; unset: no forecast.
std::optional<double> HighestQuantile(const PoolEntry& pool, absl::Time now, absl::Duration ahead,
                                      double quantile) {
  const absl::Duration step = pool.spec->step;
  const int64_t steps = (StepStart(now + ahead, step) - StepStart(now, step)) / step + 1;
  const int64_t reach = kForecastStepsMax - (StepsSinceLast(pool, now) - 1);
  if (reach < 1) return std::nullopt;
  const auto rows =
      ForecastRows(pool, now, static_cast<int>(std::min(reach, steps)), 1, {quantile});
  if (!rows.ok()) return std::nullopt;
  double highest = 0;
  for (const std::vector<double>& row : *rows) highest = std::max(highest, row[0]);
  return highest;
}

// A sample came after its step had been closed: it is stored, and does not count. Once a step it is
// noted, for a replay reads all samples at once.
bool IsLate(Changes& changes, PoolEntry& pool, absl::Time step) {
  if (step > pool.forecaster->LastStep()) return false;
  auto& late = *pool.record.mutable_planner()->mutable_late_steps();
  const bool noted = !late.empty() && FromProto(late.rbegin()->step()) == step;
  if (noted || step != pool.demand.closed_step.start) return true;
  if (late.size() >= kLateStepsMax) {
    late.RemoveLast();  // A restart before that save counts what came late to it.
    pool.timers.next_save = absl::ZeroDuration();
  }
  v1::PlannerState::LateStep& entry = *late.Add();
  *entry.mutable_step() = ToProto(step);
  entry.set_counted(pool.demand.closed_step.count);
  changes.Keep(pool);
  return true;
}

// The same of a replayed one, the next of its step.
bool WasLate(const PoolEntry& pool, absl::Time step) {
  if (step <= pool.forecaster->LastStep()) return true;
  const auto& late = pool.record.planner().late_steps();
  return std::any_of(late.begin(), late.end(), [&](const v1::PlannerState::LateStep& entry) {
    return FromProto(entry.step()) == step && pool.demand.open_step.start == step &&
           pool.demand.open_step.count >= entry.counted();
  });
}

// Misses count from `step` on, or from where they did before a restart.
void Start(PoolEntry& pool, absl::Time step) {
  v1::PlannerState& planner = *pool.record.mutable_planner();
  if (planner.has_start_step() && step < FromProto(planner.start_step())) return;
  if (!planner.has_start_step()) *planner.mutable_start_step() = ToProto(step);
  pool.capacity->Start();
  pool.timers.next_save = absl::ZeroDuration();
}

// `live`: whether the step that begins then is the present, so that plans count from it on.
bool Close(PoolEntry& pool, absl::Time until, absl::FunctionRef<bool(absl::Time start)> live) {
  if (pool.demand.open_step.count == 0 ||
      StepStart(until, pool.spec->step) <= pool.demand.open_step.start) {
    return false;
  }
  const OpenStep closed = std::exchange(pool.demand.open_step, {});
  const double demand = closed.Mean();
  const bool starts = !pool.capacity->started() && live(closed.start);
  pool.forecaster->SetPast(!pool.capacity->started() && !starts);
  if (!pool.forecaster->Update(closed.start, demand).ok()) return false;
  if (starts) Start(pool, closed.start);
  pool.capacity->Observe(closed.start, demand, *pool.forecaster);
  pool.forecaster->SetPast(false);
  pool.demand.closed_step = closed;
  if (!pool.learning.learn_effect.has_value()) return true;
  pool.learning.steps_meanwhile_lost |= pool.learning.steps_meanwhile.size() >= kStepsMeanwhileMax;
  if (!pool.learning.steps_meanwhile_lost) pool.learning.steps_meanwhile.push_back(closed);
  return true;
}

void SetLast(PoolEntry& pool, const v1::Sample& sample) {
  pool.demand.last_sample = FromProto(sample.time());
  pool.demand.value = sample.value();
}

}  // namespace

bool StepIsOver(const PoolEntry& pool, absl::Time now) {
  return pool.record.pool().state() != v1::Pool::DELETING && now >= pool.timers.next_size;
}

absl::Time StepStart(absl::Time time, absl::Duration step) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), step);
}

absl::Status CheckSamples(const PoolEntry& pool, const Samples& samples, absl::Time now,
                          const std::string& field) {
  return CheckSamples(pool, samples, now, field, pool.demand.last_sample);
}

absl::Status CheckSamples(const PoolEntry& pool, const Samples& samples, absl::Time now,
                          const std::string& field, absl::Time last) {
  const absl::Time limit = now + pool.spec->step;
  for (int i = 0; i < samples.size(); ++i) {
    const v1::Sample& sample = samples[i];
    const absl::Time time = FromProto(sample.time());
    if (!std::isfinite(sample.value()) || sample.value() < 0) {
      return FieldError(
          absl::StrCat(field, "[", i, "].value"),
          absl::StrFormat("%g is not a demand; a finite number of at least 0 is", sample.value()));
    }
    if (!sample.has_time() || time <= last) {
      return FieldError(absl::StrCat(field, "[", i, "].time"),
                        sample.has_time()
                            ? absl::StrCat(absl::FormatTime(time, absl::UTCTimeZone()),
                                           " is not after the sample before it, ",
                                           absl::FormatTime(last, absl::UTCTimeZone()))
                            : std::string("is missing"));
    }
    if (time > limit) {
      return FieldError(absl::StrCat(field, "[", i, "].time"),
                        absl::StrCat(absl::FormatTime(time, absl::UTCTimeZone()),
                                     " is more than a step ahead of the daemon's clock"));
    }
    last = time;
  }
  return absl::OkStatus();
}

bool CloseSteps(PoolEntry& pool, absl::Time until, absl::Time now) {
  const auto live = [&](absl::Time start) { return now - start <= kLiveSteps * pool.spec->step; };
  if (!Close(pool, until, live)) return false;
  const OpenStep& closed = pool.demand.closed_step;
  // A start closes the last one anew, which counted before it if a size was decided by it.
  const v1::PlannerState& planner = pool.record.planner();
  const bool counted = planner.has_size_step() && closed.start <= FromProto(planner.size_step());
  if (live(closed.start) && !counted) NoteStep(pool, closed.Mean());
  return true;
}

void CloseReplayed(PoolEntry& pool, absl::Time until) {
  const v1::PlannerState& planner = pool.record.planner();
  Close(pool, until, [&](absl::Time start) {
    return planner.has_start_step() && start >= FromProto(planner.start_step());
  });
}

void Replay(PoolEntry& pool, const Samples& samples) {
  if (samples.empty()) return;
  for (const v1::Sample& sample : samples) {
    const absl::Time time = FromProto(sample.time());
    CloseReplayed(pool, time);
    const absl::Time step = StepStart(time, pool.spec->step);
    if (!WasLate(pool, step)) pool.demand.open_step.Add(step, sample.value());
  }
  SetLast(pool, *samples.rbegin());
}

void Ingest(Changes& changes, PoolEntry& pool, const Samples& samples) {
  if (samples.empty()) return;
  const absl::Time now = changes.now().wall;
  const bool planned = pool.record.planner().has_start_step();
  for (const v1::Sample& sample : samples) {
    const absl::Time time = FromProto(sample.time());
    CloseSteps(pool, time, now);
    const absl::Time step = StepStart(time, pool.spec->step);
    if (!IsLate(changes, pool, step)) pool.demand.open_step.Add(step, sample.value());
  }
  SetLast(pool, *samples.rbegin());
  // A step that awaits a fit is left to the tick.
  if (AwaitsFit(pool, now) || CloseSteps(pool, now, now)) {
    pool.timers.next_size = now;
    changes.world().SetDue(pool, changes.now().mono);
  }
  DecideSoon(changes, pool);
  const bool first = !pool.record.has_first_sample_time();
  if (first) *pool.record.mutable_first_sample_time() = samples[0].time();
  if (first || planned != pool.record.planner().has_start_step()) changes.Keep(pool);
  Samples storable = Storable(changes.world(), pool, samples);
  if (storable.empty()) return;
  v1::SampleBatch& batch = *changes.batch().add_samples();
  batch.set_pool(pool.record.pool().name());
  *batch.mutable_samples() = std::move(storable);
}

void DecideSoon(Changes& changes, PoolEntry& pool) {
  pool.timers.next_level =
      std::min(pool.timers.next_level, std::max(changes.now().mono, pool.timers.next_soon));
  changes.world().SetDue(pool, std::min(pool.timers.due, pool.timers.next_level));
}

v1::Usage UsageNow(const PoolEntry& pool, absl::Time now) {
  v1::Usage usage;
  usage.set_stale(!pool.demand.value.has_value() ||
                  now - pool.demand.last_sample > pool.spec->usage_max_age);
  if (pool.demand.value.has_value()) {
    usage.set_demand(*pool.demand.value);
    *usage.mutable_sample_time() = ToProto(pool.demand.last_sample);
  }
  if (pool.balancing.view.has_value()) {
    if (pool.balancing.view->errors_per_second)
      usage.set_errors_per_second(*pool.balancing.view->errors_per_second);
    if (pool.balancing.view->queued_requests)
      usage.set_queued_requests(*pool.balancing.view->queued_requests);
    if (pool.balancing.view->response_time_ms)
      usage.set_response_time_ms(*pool.balancing.view->response_time_ms);
  }
  usage.set_sample_count(pool.forecaster->SampleCount());
  const absl::Status& failed =
      pool.demand.usage_read.ok() ? pool.balancing.view_read : pool.demand.usage_read;
  if (!failed.ok()) usage.set_error(std::string(failed.message()));
  return usage;
}

TrustVerdict TrustAt(const PoolEntry& pool, absl::Time now) {
  return TrustAt(pool, now, pool.forecaster->Trust());
}

TrustVerdict TrustAt(const PoolEntry& pool, absl::Time now, TrustVerdict verdict) {
  const absl::Duration age = (StepsSinceLast(pool, now) - 1) * pool.spec->step;
  const absl::Duration season = pool.spec->season_lengths.front();
  if (verdict.trust != ForecastTrust::kTrusted || age <= season) return verdict;
  return {.trust = ForecastTrust::kStale,
          .reason = absl::StrCat("the last usage is ", absl::FormatDuration(age),
                                 " old, more than the shortest season of ",
                                 absl::FormatDuration(season))};
}

Outlook OutlookAt(const PoolEntry& pool, absl::Time now, ForecastTrust verdict,
                  absl::Duration activation_lead) {
  Outlook outlook;
  outlook.trust = TrustProto(TrustAt(pool, now, {.trust = verdict, .reason = ""}).trust);
  if (outlook.trust != v1::TRUSTED) return outlook;
  const double level = pool.spec->service_level;
  outlook.activation_quantile = HighestQuantile(pool, now, activation_lead, level);
  if (!outlook.activation_quantile.has_value()) outlook.trust = v1::STALE;
  if (pool.spec->look_ahead == absl::ZeroDuration()) return outlook;
  outlook.look_ahead_quantile = HighestQuantile(pool, now, pool.spec->look_ahead, level);
  return outlook;
}

int64_t HorizonStepsMax(const CompiledPool& spec) {
  return std::max<int64_t>(kForecastStepsMax, 2 * (spec.season_lengths.back() / spec.step));
}

int64_t RowSteps(absl::Duration pool_step, int64_t steps) {
  constexpr int64_t kDaySeconds = 86'400;
  const int64_t step = absl::ToInt64Seconds(pool_step);
  const int64_t needed = (steps + kForecastStepsMax - 1) / kForecastStepsMax;
  for (int64_t stride = needed; needed > 1 && stride * step <= kDaySeconds; ++stride) {
    if (kDaySeconds % (stride * step) == 0) return stride;
  }
  return needed;
}

absl::StatusOr<std::vector<std::vector<double>>> ForecastRows(
    const PoolEntry& pool, absl::Time now, int rows, int64_t stride,
    const std::vector<double>& quantiles) {
  if (pool.forecaster->LastStep() == absl::InfinitePast()) {
    return ReasonError(
        absl::StatusCode::kFailedPrecondition, "NO_HISTORY",
        absl::StrCat(pool.record.pool().name(), " has no complete step of usage yet"));
  }
  const int64_t skipped = StepsSinceLast(pool, now) - 1;
  if (skipped + rows * stride > kForecastReachMax) {
    return ReasonError(
        absl::StatusCode::kFailedPrecondition, "HISTORY_TOO_OLD",
        absl::StrCat("the last usage of ", pool.record.pool().name(), " is ", skipped,
                     " steps old; a forecast reaches ", kForecastReachMax, " steps from there"));
  }
  return pool.forecaster->ForecastAt({.first = skipped + 1, .stride = stride, .rows = rows},
                                     quantiles);
}

absl::StatusOr<v1::Forecast> ForecastFrom(const PoolEntry& pool, absl::Time now, int64_t steps,
                                          const std::vector<double>& quantiles) {
  const int64_t stride = RowSteps(pool.spec->step, steps);
  const auto count = static_cast<int>((steps + stride - 1) / stride);
  const auto rows = ForecastRows(pool, now, count, stride, quantiles);
  if (!rows.ok()) return rows.status();
  v1::Forecast forecast;
  for (const double quantile : quantiles) forecast.add_quantiles(quantile);
  absl::Time time = StepStart(now, pool.spec->step);
  for (const std::vector<double>& row : *rows) {
    v1::Forecast::Point& point = *forecast.add_points();
    *point.mutable_time() = ToProto(time);
    point.mutable_values()->Add(row.begin(), row.end());
    time += stride * pool.spec->step;
  }
  *forecast.mutable_step() = ToProto(stride * pool.spec->step);
  const TrustVerdict verdict = TrustAt(pool, now);
  forecast.set_trust(TrustProto(verdict.trust));
  forecast.set_trust_reason(verdict.reason);
  return forecast;
}

}  // namespace shadow
