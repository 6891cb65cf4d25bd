#include <algorithm>
#include <utility>
#include <vector>

#include "server/api/services.h"
#include "server/core/loop/demand.h"
#include "server/core/simulation/report.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int64_t kReadPage = 100'000;  // Samples read at a time.

absl::StatusOr<v1::Pool> FindPool(const ApiContext& api, const std::string& name) {
  const auto parsed = ParsePoolName(name, "pool");
  if (!parsed.ok()) return parsed.status();
  const auto snapshot = api.control.snapshot();
  const auto pool = snapshot->pools.find(name);
  if (pool != snapshot->pools.end()) return pool->second->pool;
  return ReasonError(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                     absl::StrCat(name, " does not exist"));
}

// What the store holds of the pool's demand, up to the last whole step.
absl::StatusOr<simulation::DemandSeries> ReadSeries(const ApiContext& api, const std::string& pool,
                                                    absl::Duration step,
                                                    const std::function<bool()>& cancelled) {
  simulation::SeriesBuilder builder(step);
  const absl::Time until = StepStart(api.clock.Now().wall, step) - absl::Nanoseconds(1);
  absl::Time after = until - simulation::kStepsMax * step;
  while (!cancelled()) {
    const auto samples = api.store.ReadSamples(pool, after, until, kReadPage);
    if (!samples.ok()) return samples.status();
    if (samples->empty()) return std::move(builder).Build();
    builder.Add(*samples);
    after = FromProto(samples->back().time());
  }
  return absl::CancelledError("cancelled");
}

absl::StatusOr<simulation::DemandSeries> SeriesOf(const ApiContext& api,
                                                  const v1::SimulateRequest& request,
                                                  absl::Duration step,
                                                  const std::function<bool()>& cancelled) {
  if (request.samples().empty()) return ReadSeries(api, request.pool(), step, cancelled);
  const std::vector<v1::Sample> samples(request.samples().begin(), request.samples().end());
  const absl::Status checked = simulation::CheckSeries(samples);
  if (!checked.ok()) return checked;
  simulation::SeriesBuilder builder(step);
  builder.Add(samples);
  return std::move(builder).Build();
}

absl::Status Run(const ApiContext& api, const v1::SimulateRequest& request, const v1::Pool& pool,
                 const std::function<bool()>& cancelled, v1::SimulateResponse& response) {
  const auto step = simulation::StepOf(request, pool);
  if (!step.ok()) return step.status();
  auto series = SeriesOf(api, request, *step, cancelled);
  if (!series.ok()) return series.status();
  const auto plan = simulation::PlanSimulation(request, pool, *std::move(series));
  if (!plan.ok()) return plan.status();
  const auto replayed = RunPlan(*plan, cancelled);
  if (!replayed.ok()) return replayed.status();
  response = simulation::ReportSimulation(*plan, *replayed);
  return absl::OkStatus();
}

absl::Status Run(const ApiContext& api, const v1::EvaluatePoolRequest& request,
                 const v1::Pool& pool, const std::function<bool()>& cancelled,
                 v1::EvaluatePoolResponse& response) {
  auto series = ReadSeries(api, request.pool(), simulation::GridOf(pool), cancelled);
  if (!series.ok()) return series.status();
  const auto plan = simulation::PlanEvaluation(request, pool, *std::move(series));
  if (!plan.ok()) return plan.status();
  const auto replayed = RunPlan(*plan, cancelled);
  if (!replayed.ok()) return replayed.status();
  response = simulation::ReportEvaluation(*plan, *replayed, pool.policy().mode());
  return absl::OkStatus();
}

// Has it run on the worker; a call that its client has given up ends early. `context`, `request`
// and `response` live until the reactor is finished.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* RunOnWorker(const ApiContext& api, SimulationWorker& worker,
                                      grpc::CallbackServerContext* context, const Request* request,
                                      Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto pool = FindPool(api, request->pool());
  absl::Status status = pool.status();
  if (pool.ok()) {
    status = worker.Post([=, &api, &worker, pool = *pool] {
      const auto cancelled = [&] { return worker.stopping() || context->IsCancelled(); };
      absl::Status done;
      try {
        done = Run(api, *request, pool, cancelled, *response);
      } catch (const std::exception& error) {
        done = absl::InternalError(absl::StrCat("a simulation failed: ", error.what()));
      }
      if (absl::IsCancelled(done) && worker.stopping()) {
        done = absl::UnavailableError("the daemon is stopping");
      }
      reactor->Finish(ToGrpc(done));
    });
  }
  if (!status.ok()) reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* SimulationServiceImpl::Simulate(grpc::CallbackServerContext* context,
                                                          const v1::SimulateRequest* request,
                                                          v1::SimulateResponse* response) {
  return RunOnWorker(api_, worker_, context, request, response);
}

grpc::ServerUnaryReactor* SimulationServiceImpl::EvaluatePool(
    grpc::CallbackServerContext* context, const v1::EvaluatePoolRequest* request,
    v1::EvaluatePoolResponse* response) {
  return RunOnWorker(api_, worker_, context, request, response);
}

}  // namespace shadow
