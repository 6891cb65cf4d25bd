#include <algorithm>
#include <utility>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/api/services.h"
#include "server/api/unparsable.h"
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
  return PoolNotFound(name);
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
  const auto replay = simulation::CompileSimulation(request, pool, *std::move(series));
  if (!replay.ok()) return replay.status();
  const auto replayed = RunVariants(*replay, cancelled);
  if (!replayed.ok()) return replayed.status();
  response = simulation::ReportSimulation(*replay, *replayed);
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

// Limits the fields of a request. 4 MiB of samples with their times stay below the limit; 4 MiB of
// empty samples would take 40 times their bytes in memory.
absl::Status CheckFields(const grpc::ByteBuffer& bytes) {
  constexpr int kFieldsMax = 500'000;
  grpc::ByteBuffer read = bytes;  // Shares them.
  grpc::ProtoBufferReader reader(&read);
  google::protobuf::io::CodedInputStream input(&reader);
  int fields = 0;
  while (const uint32_t tag = input.ReadTag()) {
    if (++fields > kFieldsMax) {
      return FieldError("samples", absl::StrCat("wanted at most ", kFieldsMax));
    }
    // What cannot be skipped cannot be parsed either, and is refused by who parses.
    if (!google::protobuf::internal::WireFormatLite::SkipField(&input, tag)) break;
  }
  return absl::OkStatus();
}

absl::Status RunSimulate(const ApiContext& api, const grpc::ByteBuffer& bytes,
                         const std::function<bool()>& cancelled, grpc::ByteBuffer& answer) {
  v1::SimulateRequest request;
  absl::Status status = CheckFields(bytes);
  if (status.ok()) status = Parse(bytes, "/shadow.v1.SimulationService/Simulate", request);
  if (!status.ok()) return status;
  const auto pool = FindPool(api, request.pool());
  if (!pool.ok()) return pool.status();
  v1::SimulateResponse response;
  status = Run(api, request, *pool, cancelled, response);
  bool own = false;
  if (status.ok()) {
    grpc::SerializationTraits<v1::SimulateResponse>::Serialize(response, &answer, &own);
  }
  return status;
}

absl::Status RunEvaluate(const ApiContext& api, const v1::EvaluatePoolRequest& request,
                         const std::function<bool()>& cancelled,
                         v1::EvaluatePoolResponse& response) {
  const auto pool = FindPool(api, request.pool());
  return pool.ok() ? Run(api, request, *pool, cancelled, response) : pool.status();
}

// Has `run(cancelled)` run on the worker, if the caller may call `method`; a call that its client
// has given up ends early.
template <typename F>
grpc::ServerUnaryReactor* RunOnWorker(const ApiContext& api, grpc::CallbackServerContext* context,
                                      std::string_view method, F run) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (const absl::Status allowed = Authorize(api, *context, method); !allowed.ok()) {
    reactor->Finish(ToGrpc(allowed));
    return reactor;
  }
  const absl::Status posted = api.simulations.Post(ShareOf(api, *context), [=, &api] {
    const auto cancelled = [&] { return api.simulations.stopping() || context->IsCancelled(); };
    absl::Status done;
    try {
      done = run(cancelled);
    } catch (const std::exception& error) {
      done = absl::InternalError(absl::StrCat("a simulation failed: ", error.what()));
    }
    if (absl::IsCancelled(done) && api.simulations.stopping()) {
      done = absl::UnavailableError("the daemon is stopping");
    }
    reactor->Finish(ToGrpc(done));
  });
  if (!posted.ok()) reactor->Finish(ToGrpc(posted));
  return reactor;
}

}  // namespace

// Requests and answers live until the reactor is finished.

grpc::ServerUnaryReactor* SimulationServiceImpl::Simulate(grpc::CallbackServerContext* context,
                                                          const grpc::ByteBuffer* request,
                                                          grpc::ByteBuffer* response) {
  return RunOnWorker(api_, context, "Simulate", [this, request, response](const auto& cancelled) {
    return RunSimulate(api_, *request, cancelled, *response);
  });
}

grpc::ServerUnaryReactor* SimulationServiceImpl::EvaluatePool(
    grpc::CallbackServerContext* context, const v1::EvaluatePoolRequest* request,
    v1::EvaluatePoolResponse* response) {
  return RunOnWorker(api_, context, "EvaluatePool",
                     [this, request, response](const auto& cancelled) {
                       return RunEvaluate(api_, *request, cancelled, *response);
                     });
}

}  // namespace shadow
