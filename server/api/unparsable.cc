#include "server/api/unparsable.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/status_map.h"
#include "server/core/error.h"

namespace shadow {
namespace {

using grpc::experimental::InterceptionHookPoints;

class UnparsableInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit UnparsableInterceptor(std::string method) : method_(std::move(method)) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      // No handler of ours ends without a message.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED &&
          status.error_message().empty()) {
        methods->ModifySendStatus(ToGrpc(UnparsableError(method_)));
      }
    }
    methods->Proceed();
  }

 private:
  const std::string method_;
};

class UnparsableInterceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // Methods that are not there; those that are there have one request, or take bytes.
    if (info->type() == grpc::experimental::ServerRpcInfo::Type::BIDI_STREAMING) return nullptr;
    return new UnparsableInterceptor(info->method());  // gRPC's, until the call has ended.
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
MakeUnparsableInterceptors() {
  return std::make_unique<UnparsableInterceptors>();
}

absl::Status UnparsableError(const std::string& method) {
  return ReasonError(absl::StatusCode::kInvalidArgument, "UNPARSABLE_REQUEST",
                     absl::StrCat("the request of ", method,
                                  " cannot be parsed: wanted a protobuf message of its type, with "
                                  "text in UTF-8"));
}

}  // namespace shadow
