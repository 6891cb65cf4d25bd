// The little of HTTP/1.1 that the demonstration's worker and load generator speak.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace shadow::demo {

inline constexpr size_t kHeadMaxBytes = 8192;
inline constexpr int64_t kBodyMaxBytes = 65536;

struct RequestHead {
  std::string method;
  std::string path;  // As sent, without the query.
  bool keep_alive = false;
  int64_t body_bytes = 0;  // Content-Length.
  size_t head_bytes = 0;   // Of the head, its empty line included.
};

struct ResponseHead {
  int status = 0;
  bool keep_alive = false;
  std::optional<int64_t> body_bytes;  // Unset: the body ends with the connection.
  size_t head_bytes = 0;
};

// The head at the start of `buffer`; nullopt: more bytes are needed.
// kInvalidArgument: it is not HTTP/1.x. kOutOfRange: the head passes kHeadMaxBytes or the body
// kBodyMaxBytes (requests only). kUnimplemented: a transfer coding.
absl::StatusOr<std::optional<RequestHead>> ParseRequestHead(std::string_view buffer);
absl::StatusOr<std::optional<ResponseHead>> ParseResponseHead(std::string_view buffer);

// A whole response with a plain text body and its Content-Length.
std::string MakeResponse(int status, std::string_view body, bool keep_alive);

}  // namespace shadow::demo
