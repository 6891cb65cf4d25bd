// Bounds on the answers that readers do not take.
//
// gRPC keeps an answer until its reader has given it window (HTTP/2's flow control), for as long as
// the call lives. Its resource quota does not count these bytes, because they are not gRPC's own.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/api/access/access.h"

namespace shadow {

// Bytes of answers that are not sent yet. Thread-safe.
class UnreadAnswers {
 public:
  static constexpr size_t kBytesMaxOfUser = 4 << 20;
  static constexpr size_t kBytesMax = 32 << 20;  // Of all users.

  // kResourceExhausted: what `caller` or all callers hold reaches a limit. `bytes`
  // themselves do not count yet, so an answer of any size has room where little is held. Everything
  // taken must be given back.
  absl::Status Take(const std::string& caller, size_t bytes);
  void GiveBack(const std::string& caller, size_t bytes);

 private:
  std::mutex mutex_;
  size_t taken_ = 0;
  std::map<std::string, size_t> by_caller_;
};

// Each answer of one message takes its bytes of `answers` until its call ends. One that gets none
// becomes RESOURCE_EXHAUSTED. `answers` and `access`, which knows the callers, must outlive the
// server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAnswerInterceptors(
    UnreadAnswers& answers, const Access& access);

}  // namespace shadow
