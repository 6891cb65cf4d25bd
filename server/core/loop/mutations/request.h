// What the API asks of the control loop: one request message, one answer.
#pragma once

#include <memory>
#include <variant>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "shadow/v1/dna_service.pb.h"
#include "shadow/v1/instance_service.pb.h"
#include "shadow/v1/pool_service.pb.h"
#include "shadow/v1/shadow_pool_service.pb.h"
#include "shadow/v1/usage_service.pb.h"

namespace shadow {

using Request =
    std::variant<v1::CreateDnaRequest, v1::UpdateDnaRequest, v1::DeleteDnaRequest,
                 v1::CreatePoolRequest, v1::UpdatePoolRequest, v1::DeletePoolRequest,
                 v1::CreateShadowPoolRequest, v1::UpdateShadowPoolRequest,
                 v1::ActivateShadowPoolRequest, v1::DeleteShadowPoolRequest, v1::ReleaseHoldRequest,
                 v1::RestartInstanceRequest, v1::CordonInstanceRequest, v1::UncordonInstanceRequest,
                 v1::ReportUsageRequest, v1::ReportUsageBatchRequest, v1::AnalyzePoolUsageRequest,
                 v1::GetForecastRequest>;

// The response message that the request's RPC names.
using MessagePtr = std::unique_ptr<google::protobuf::Message>;
using Answer = absl::StatusOr<MessagePtr>;

}  // namespace shadow
