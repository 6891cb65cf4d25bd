// Says what is wrong with a request that cannot be parsed.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_interceptor.h"

namespace shadow {

// gRPC parses a request before the handler is called, and answers one that it cannot parse with
// UNIMPLEMENTED and no text. This makes it INVALID_ARGUMENT and says so, for all methods whose
// request is one message.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeUnparsableInterceptors();

// kInvalidArgument, for a request of `method`.
absl::Status UnparsableError(const std::string& method);

// For methods that take bytes: UnparsableError unless `bytes` are a `Message`.
template <typename Message>
absl::Status Parse(const grpc::ByteBuffer& bytes, const std::string& method, Message& message) {
  grpc::ByteBuffer read = bytes;  // Shares them.
  if (grpc::SerializationTraits<Message>::Deserialize(&read, &message).ok()) {
    return absl::OkStatus();
  }
  return UnparsableError(method);
}

}  // namespace shadow
