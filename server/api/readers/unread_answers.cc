#include "server/api/readers/unread_answers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/api/status_map.h"
#include "server/core/error.h"

namespace shadow {
namespace {

using grpc::experimental::InterceptionHookPoints;

absl::Status TooMuchUnread(const std::string& holder, size_t bytes) {
  return ReasonError(absl::StatusCode::kResourceExhausted, "UNREAD_ANSWERS",
                     absl::StrCat(holder, " already have ", bytes,
                                  " bytes of answers that were not read yet; read them, or end "
                                  "their calls"));
}

// Of one call; gRPC deletes it when the call has ended.
class AnswerInterceptor final : public grpc::experimental::Interceptor {
 public:
  AnswerInterceptor(UnreadAnswers& answers, const Access& access,
                    const grpc::ServerContextBase& context)
      : answers_(answers), access_(access), context_(context) {}
  ~AnswerInterceptor() override { answers_.GiveBack(caller_, taken_bytes_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      Count(*methods);
    }
    methods->Proceed();
  }

 private:
  // The status of a call of one message is sent with the message.
  void Count(grpc::experimental::InterceptorBatchMethods& methods) {
    grpc::ByteBuffer& bytes = *methods.GetSerializedSendMessage();
    caller_ = access_.Find(context_.peer()).Name();
    const absl::Status taken = answers_.Take(caller_, bytes.Length());
    if (taken.ok()) {
      taken_bytes_ = bytes.Length();
      return;
    }
    bytes.Clear();  // gRPC then sends no message.
    methods.ModifySendStatus(ToGrpc(taken));
  }

  UnreadAnswers& answers_;
  const Access& access_;
  const grpc::ServerContextBase& context_;
  std::string caller_;
  size_t taken_bytes_ = 0;
};

class AnswerInterceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  AnswerInterceptors(UnreadAnswers& answers, const Access& access)
      : answers_(answers), access_(access) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // Of a stream, gRPC keeps one message at a time.
    if (info->type() != grpc::experimental::ServerRpcInfo::Type::UNARY) return nullptr;
    return new AnswerInterceptor(answers_, access_, *info->server_context());
  }

 private:
  UnreadAnswers& answers_;
  const Access& access_;
};

}  // namespace

absl::Status UnreadAnswers::Take(const std::string& caller, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  if (taken_ >= kBytesMax) return TooMuchUnread("readers", taken_);
  const auto held = by_caller_.find(caller);
  if (held != by_caller_.end() && held->second >= kBytesMaxOfUser) {
    return TooMuchUnread(absl::StrCat("calls of ", caller), held->second);
  }
  taken_ += bytes;
  by_caller_[caller] += bytes;
  return absl::OkStatus();
}

void UnreadAnswers::GiveBack(const std::string& caller, size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(mutex_);
  taken_ -= bytes;
  const auto held = by_caller_.find(caller);
  held->second -= bytes;
  if (held->second == 0) by_caller_.erase(held);
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAnswerInterceptors(
    UnreadAnswers& answers, const Access& access) {
  return std::make_unique<AnswerInterceptors>(answers, access);
}

}  // namespace shadow
