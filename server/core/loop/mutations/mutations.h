// One function for each request: checks everything, then changes the world, or neither. Control
// thread only. Errors are those that the proto names; every InvalidArgument is a FieldError.
#pragma once

#include "server/core/loop/changes.h"
#include "server/core/loop/mutations/request.h"

namespace shadow {

Answer Execute(Changes& changes, const v1::CreateDnaRequest& request);
Answer Execute(Changes& changes, const v1::UpdateDnaRequest& request);
Answer Execute(Changes& changes, const v1::DeleteDnaRequest& request);
Answer Execute(Changes& changes, const v1::CreatePoolRequest& request);
Answer Execute(Changes& changes, const v1::UpdatePoolRequest& request);
Answer Execute(Changes& changes, const v1::DeletePoolRequest& request);
Answer Execute(Changes& changes, const v1::CreateShadowPoolRequest& request);
Answer Execute(Changes& changes, const v1::UpdateShadowPoolRequest& request);
Answer Execute(Changes& changes, const v1::ActivateShadowPoolRequest& request);
Answer Execute(Changes& changes, const v1::DeleteShadowPoolRequest& request);
Answer Execute(Changes& changes, const v1::ReleaseHoldRequest& request);
Answer Execute(Changes& changes, const v1::RestartInstanceRequest& request);
Answer Execute(Changes& changes, const v1::CordonInstanceRequest& request);
Answer Execute(Changes& changes, const v1::UncordonInstanceRequest& request);
Answer Execute(Changes& changes, const v1::ReportUsageRequest& request);
Answer Execute(Changes& changes, const v1::ReportUsageBatchRequest& request);
Answer Execute(Changes& changes, const v1::AnalyzePoolUsageRequest& request);
Answer Execute(Changes& changes, const v1::GetForecastRequest& request);

// Shared by them. kNotFound, naming the resource; kInvalidArgument for a malformed name in `field`.
absl::StatusOr<PoolEntry*> FindPool(World& world, std::string_view name, std::string_view field);

// OK where `given` is empty or `current`; else kAborted.
absl::Status CheckEtag(std::string_view given, std::string_view current, std::string_view name);

// `message` with only the top-level fields that `mask` names taken from `update`; all, if it is
// empty. kInvalidArgument: a path that is no field of it, or an output-only one.
absl::Status MergeMasked(const google::protobuf::Message& update,
                         const google::protobuf::FieldMask& mask,
                         google::protobuf::Message& message);

template <typename M>
Answer AnswerWith(M message) {
  return std::make_unique<M>(std::move(message));
}

}  // namespace shadow
