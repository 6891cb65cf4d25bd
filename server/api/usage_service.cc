#include <algorithm>
#include <vector>

#include "server/api/services.h"
#include "server/api/unparsable.h"
#include "server/core/loop/demand.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

// Reads a message, has it made durable, reads the next: one is in flight, so a stream holds at most
// one message in memory.
class ReportUsageReactor final : public grpc::ServerReadReactor<grpc::ByteBuffer> {
 public:
  ReportUsageReactor(ApiContext& api, const grpc::CallbackServerContext& context,
                     grpc::ByteBuffer* response)
      : api_(api), context_(context), response_(response) {
    if (const absl::Status allowed = Authorize(api, context, kMethod); allowed.ok()) {
      StartRead(&bytes_);
    } else {
      Finish(ToGrpc(allowed));
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // The client has half-closed, or is gone.
      bool own = false;
      Finish(grpc::SerializationTraits<v1::ReportUsageResponse>::Serialize(sum_, response_, &own));
      return;
    }
    v1::ReportUsageRequest request;
    absl::Status status = Authorize(api_, context_, kMethod);  // A stream may be old.
    if (status.ok()) status = Parse(bytes_, "/shadow.v1.UsageService/ReportUsage", request);
    bytes_.Clear();
    if (status.ok()) {
      status = api_.control.Post(std::move(request), [this](const Answer& answer) {
        if (!answer.ok()) {
          Finish(ToGrpc(answer.status()));
          return;
        }
        const auto& part = static_cast<const v1::ReportUsageResponse&>(**answer);
        sum_.set_accepted_samples(sum_.accepted_samples() + part.accepted_samples());
        StartRead(&bytes_);
      });
    }
    if (!status.ok()) Finish(ToGrpc(status));
  }

  void OnDone() override { delete this; }

 private:
  static constexpr std::string_view kMethod = "ReportUsage";

  ApiContext& api_;
  const grpc::CallbackServerContext& context_;
  grpc::ByteBuffer* response_;
  grpc::ByteBuffer bytes_;  // Of the message that is being read.
  v1::ReportUsageResponse sum_;
};

// Step means of `samples`, which ascend.
void AddStepMeans(const std::vector<v1::Sample>& samples, absl::Duration step,
                  v1::Forecast& forecast) {
  OpenStep open;
  for (size_t i = 0; i < samples.size(); ++i) {
    const absl::Time start = StepStart(FromProto(samples[i].time()), step);
    open.Add(start, samples[i].value());
    const bool last =
        i + 1 == samples.size() || StepStart(FromProto(samples[i + 1].time()), step) != start;
    if (!last) continue;
    v1::Sample& mean = *forecast.add_history();
    *mean.mutable_time() = ToProto(start);
    mean.set_value(open.Mean());
    open = {};
  }
}

constexpr int64_t kHistorySamplesMax = 200'000;

// The samples of the `history_steps` rows before the present step. Empty where the request is at
// fault: the control loop says how.
absl::StatusOr<std::vector<v1::Sample>> ReadHistory(const ApiContext& api,
                                                    const v1::GetForecastRequest& request) {
  const auto snapshot = api.control.snapshot();
  const auto pool = snapshot->pools.find(request.pool());
  if (pool == snapshot->pools.end() || request.history_steps() <= 0 ||
      request.history_steps() > kForecastStepsMax) {
    return std::vector<v1::Sample>();
  }
  const v1::Pool& spec = pool->second->pool;
  const absl::Duration step = FromProto(spec.step());
  const absl::Duration horizon =
      FromProto(request.has_horizon() ? request.horizon() : spec.season_lengths(0));
  const int64_t ahead = std::clamp<int64_t>(absl::Ceil(horizon, step) / step, 1, kForecastReachMax);
  const int64_t row_steps = RowSteps(step, ahead);
  const int64_t back = std::min(request.history_steps() * row_steps, kHistorySamplesMax);
  const absl::Time until = StepStart(api.clock.Now().wall, step);
  return api.store.ReadSamples(request.pool(), until - back * step - absl::Nanoseconds(1),
                               until - absl::Nanoseconds(1), row_steps * step, kHistorySamplesMax);
}

std::string ScopeOf(const v1::ListDecisionsRequest& request) {
  return absl::StrCat("ListDecisions ", request.pool(), TimeRange(request).scope());
}

absl::StatusOr<int64_t> DecisionBefore(const v1::ListDecisionsRequest& request) {
  if (request.page_token().empty()) return 0;
  const auto key = FromToken(ScopeOf(request), request.page_token());
  if (!key.ok()) return key.status();
  int64_t before = 0;
  if (absl::SimpleAtoi(*key, &before) && before > 0) return before;
  return FieldError("page_token", "is not a next_page_token of this request");
}

absl::Status FillDecisions(Store& store, const v1::ListDecisionsRequest& request, int64_t before,
                           int size, v1::ListDecisionsResponse& response) {
  const TimeRange range(request);
  PageFill fill(size);
  for (int rows = 0;;) {
    const auto decisions = store.ReadDecisions(request.pool(), before, {size + 1, kPageBytesMax});
    if (!decisions.ok()) return decisions.status();
    for (const v1::Decision& decision : *decisions) {
      if (fill.full() || rows == TimeRange::kRowsMax) {
        response.set_next_page_token(ToToken(ScopeOf(request), absl::StrCat(before)));
        return absl::OkStatus();
      }
      ++rows;
      before = decision.id();
      if (!range.Has(decision.time())) continue;
      *response.add_decisions() = decision;
      fill.Add(decision.ByteSizeLong());
    }
    if (decisions->empty() || !range.limited()) return absl::OkStatus();
  }
}

}  // namespace

grpc::ServerReadReactor<grpc::ByteBuffer>* UsageServiceImpl::ReportUsage(
    Context* context, grpc::ByteBuffer* response) {
  return new ReportUsageReactor(api_, *context, response);
}

UsageServiceImpl::Reactor* UsageServiceImpl::ReportUsageBatch(
    Context* context, const v1::ReportUsageBatchRequest* request,
    v1::ReportUsageBatchResponse* response) {
  return Ask(context, api_, "ReportUsageBatch", *request, response);
}

UsageServiceImpl::Reactor* UsageServiceImpl::AnalyzePoolUsage(
    Context* context, const v1::AnalyzePoolUsageRequest* request,
    v1::AnalyzePoolUsageResponse* response) {
  return Ask(context, api_, "AnalyzePoolUsage", *request, response);
}

UsageServiceImpl::Reactor* UsageServiceImpl::GetForecast(Context* context,
                                                         const v1::GetForecastRequest* request,
                                                         v1::Forecast* response) {
  Reactor* reactor = context->DefaultReactor();
  if (const absl::Status allowed = Authorize(api_, *context, "GetForecast"); !allowed.ok()) {
    reactor->Finish(ToGrpc(allowed));
    return reactor;
  }
  // Read here, not where the answer is made: the control thread does no I/O.
  auto history = ReadHistory(api_, *request);
  if (!history.ok()) {
    reactor->Finish(ToGrpc(history.status()));
    return reactor;
  }
  const absl::Status posted = api_.control.Post(
      *request, [reactor, response, history = *std::move(history)](const Answer& answer) {
        if (answer.ok()) {
          response->Swap(static_cast<v1::Forecast*>(answer->get()));
          AddStepMeans(history, FromProto(response->step()), *response);
        }
        reactor->Finish(ToGrpc(answer.status()));
      });
  if (!posted.ok()) reactor->Finish(ToGrpc(posted));
  return reactor;
}

UsageServiceImpl::Reactor* UsageServiceImpl::ListDecisions(Context* context,
                                                           const v1::ListDecisionsRequest* request,
                                                           v1::ListDecisionsResponse* response) {
  return Reply(context, api_, "ListDecisions", [&]() -> absl::Status {
    const auto name = ParsePoolName(request->pool(), "pool");
    if (!name.ok()) return name.status();
    if (!api_.control.snapshot()->pools.contains(request->pool())) {
      return PoolNotFound(request->pool());
    }
    const auto size = PageSize(request->page_size());
    if (!size.ok()) return size.status();
    const auto before = DecisionBefore(*request);
    if (!before.ok()) return before.status();
    return FillDecisions(api_.store, *request, *before, *size, *response);
  });
}

}  // namespace shadow
