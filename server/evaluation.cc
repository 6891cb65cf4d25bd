#include "server/evaluation.h"

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/simulation/compiled_replay.h"
#include "server/core/simulation/report.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int64_t kReadPage = 100'000;  // Samples read at a time.

// Too little history is found by its oldest sample: without a look at the rest, as it is asked
// again each minute.
absl::Status CheckHistory(Store& store, const v1::Pool& pool, absl::Time now) {
  const auto oldest =
      store.ReadSamples(pool.name(), absl::InfinitePast(), now, FromProto(pool.step()), 1);
  if (!oldest.ok()) return oldest.status();
  return simulation::CheckEvaluable(
      pool, oldest->empty()
                ? absl::ZeroDuration()
                : absl::Trunc(now - FromProto(oldest->front().time()), FromProto(pool.step())));
}

absl::StatusOr<v1::ObserveScore> TryScorePool(Store& store, const v1::Pool& pool, absl::Time now,
                                              const std::function<bool()>& cancelled) {
  try {
    return ScorePool(store, pool, now, cancelled);
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace

absl::StatusOr<simulation::DemandSeries> ReadSeries(Store& store, const std::string& pool,
                                                    absl::Duration step, absl::Time now,
                                                    const std::function<bool()>& cancelled) {
  simulation::SeriesBuilder builder(step);
  const absl::Time until = StepStart(now, step) - absl::Nanoseconds(1);
  absl::Time after = until - simulation::kStepsMax * step;
  while (!cancelled()) {
    const auto samples = store.ReadSamples(pool, after, until, step, kReadPage);
    if (!samples.ok()) return samples.status();
    if (samples->empty()) return std::move(builder).Build();
    builder.Add(*samples);
    after = FromProto(samples->back().time());
  }
  return absl::CancelledError("cancelled");
}

absl::StatusOr<v1::EvaluatePoolResponse> Evaluate(Store& store,
                                                  const v1::EvaluatePoolRequest& request,
                                                  const v1::Pool& pool, absl::Time now,
                                                  const std::function<bool()>& cancelled) {
  auto series = ReadSeries(store, pool.name(), simulation::GridOf(pool), now, cancelled);
  if (!series.ok()) return series.status();
  const auto replay = simulation::CompileEvaluation(request, pool, *std::move(series));
  if (!replay.ok()) return replay.status();
  const auto replayed = RunVariants(*replay, cancelled);
  if (!replayed.ok()) return replayed.status();
  return simulation::ReportEvaluation(*replay, *replayed, pool.policy().mode());
}

absl::StatusOr<v1::ObserveScore> ScorePool(Store& store, const v1::Pool& pool, absl::Time now,
                                           const std::function<bool()>& cancelled) {
  if (absl::Status history = CheckHistory(store, pool, now); !history.ok()) return history;
  v1::EvaluatePoolRequest request;
  request.set_pool(pool.name());
  request.set_plot_points(0);
  const auto evaluation = Evaluate(store, request, pool, now, cancelled);
  if (!evaluation.ok()) return evaluation.status();
  return simulation::ScoreFrom(*evaluation);
}

void ScoreInBackground(Store& store, SimulationWorker& worker, const Clock& clock,
                       const v1::Pool& pool,
                       const std::function<void(absl::StatusOr<v1::ObserveScore>)>& done) {
  const absl::Status posted = worker.PostBackground([&store, &worker, &clock, pool, done] {
    done(TryScorePool(store, pool, clock.Now().wall,
                      [&worker] { return worker.BackgroundMustEnd(); }));
  });
  if (!posted.ok()) done(absl::CancelledError(posted.message()));
}

}  // namespace shadow
