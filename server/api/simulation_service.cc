#include <algorithm>
#include <utility>
#include <vector>

#include "server/api/services.h"
#include "server/core/simulation/report.h"
#include "server/evaluation.h"

namespace shadow {
namespace {

absl::StatusOr<v1::Pool> FindPool(const ApiContext& api, const std::string& name) {
  const auto parsed = ParsePoolName(name, "pool");
  if (!parsed.ok()) return parsed.status();
  const auto snapshot = api.control.snapshot();
  const auto pool = snapshot->pools.find(name);
  if (pool != snapshot->pools.end()) return pool->second->pool;
  return ReasonError(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                     absl::StrCat(name, " does not exist"));
}

absl::StatusOr<simulation::DemandSeries> SeriesOf(const ApiContext& api,
                                                  const v1::SimulateRequest& request,
                                                  absl::Duration step,
                                                  const std::function<bool()>& cancelled) {
  if (request.samples().empty()) {
    return ReadSeries(api.store, request.pool(), step, api.clock.Now().wall, cancelled);
  }
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
  auto evaluated = Evaluate(api.store, request, pool, api.clock.Now().wall, cancelled);
  if (!evaluated.ok()) return evaluated.status();
  response = *std::move(evaluated);
  return absl::OkStatus();
}

// Has it run on the worker; a call that its client has given up ends early. `context`, `request`
// and `response` live until the reactor is finished.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* RunOnWorker(const ApiContext& api, grpc::CallbackServerContext* context,
                                      const Request* request, Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto pool = FindPool(api, request->pool());
  absl::Status status = pool.status();
  if (pool.ok()) {
    status = api.simulations.Post([=, &api, pool = *pool] {
      const auto cancelled = [&] { return api.simulations.stopping() || context->IsCancelled(); };
      absl::Status done;
      try {
        done = Run(api, *request, pool, cancelled, *response);
      } catch (const std::exception& error) {
        done = absl::InternalError(absl::StrCat("a simulation failed: ", error.what()));
      }
      if (absl::IsCancelled(done) && api.simulations.stopping()) {
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
  return RunOnWorker(api_, context, request, response);
}

grpc::ServerUnaryReactor* SimulationServiceImpl::EvaluatePool(
    grpc::CallbackServerContext* context, const v1::EvaluatePoolRequest* request,
    v1::EvaluatePoolResponse* response) {
  return RunOnWorker(api_, context, request, response);
}

}  // namespace shadow
