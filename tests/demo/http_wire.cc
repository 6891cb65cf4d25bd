#include "tests/demo/http_wire.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow::demo {
namespace {

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

struct Fields {
  std::string_view first_line;
  bool keep_alive = false;
  std::optional<int64_t> body_bytes;
  size_t head_bytes = 0;
};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

absl::Status ReadField(std::string_view line, Fields& fields) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) {
    return absl::InvalidArgumentError("a header line has no name");
  }
  for (const char c : line.substr(0, colon)) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("a header name has a space or a control character");
    }
  }
  const absl::string_view name = Absl(line.substr(0, colon));
  const std::string_view value = Trim(line.substr(colon + 1));
  if (absl::EqualsIgnoreCase(name, "transfer-encoding")) {
    return absl::UnimplementedError("transfer codings are not spoken here");
  }
  if (absl::EqualsIgnoreCase(name, "content-length")) {
    int64_t bytes = -1;
    if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos ||
        !absl::SimpleAtoi(Absl(value), &bytes)) {
      return absl::InvalidArgumentError("Content-Length is not a number");
    }
    if (fields.body_bytes.has_value() && *fields.body_bytes != bytes) {
      return absl::InvalidArgumentError("two different values of Content-Length");
    }
    fields.body_bytes = bytes;
  }
  if (absl::EqualsIgnoreCase(name, "connection")) {
    if (absl::EqualsIgnoreCase(Absl(value), "close")) fields.keep_alive = false;
    if (absl::EqualsIgnoreCase(Absl(value), "keep-alive")) fields.keep_alive = true;
  }
  return absl::OkStatus();
}

// Splits the head; `keep_alive` begins with the default of the version found in the first line.
absl::StatusOr<std::optional<Fields>> ReadHead(std::string_view buffer) {
  const size_t end = buffer.substr(0, kHeadMaxBytes).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (buffer.size() >= kHeadMaxBytes) return absl::OutOfRangeError("the head is too long");
    return std::nullopt;
  }
  Fields fields;
  fields.head_bytes = end + 4;
  std::string_view rest = buffer.substr(0, end);
  const size_t first_end = rest.find("\r\n");
  fields.first_line = rest.substr(0, first_end);
  fields.keep_alive = fields.first_line.find("HTTP/1.1") != std::string_view::npos;
  rest = first_end == std::string_view::npos ? std::string_view() : rest.substr(first_end + 2);
  while (!rest.empty()) {
    const size_t line_end = rest.find("\r\n");
    if (absl::Status status = ReadField(rest.substr(0, line_end), fields); !status.ok()) {
      return status;
    }
    if (line_end == std::string_view::npos) break;
    rest.remove_prefix(line_end + 2);
  }
  return fields;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

}  // namespace

absl::StatusOr<std::optional<RequestHead>> ParseRequestHead(std::string_view buffer) {
  absl::StatusOr<std::optional<Fields>> fields = ReadHead(buffer);
  if (!fields.ok()) return fields.status();
  if (!fields->has_value()) return std::nullopt;
  const std::string_view line = (*fields)->first_line;
  const size_t method_end = line.find(' ');
  const size_t path_end = line.rfind(' ');
  if (method_end == 0 || method_end == std::string_view::npos || path_end == method_end) {
    return absl::InvalidArgumentError("the request line is not \"METHOD PATH VERSION\"");
  }
  const std::string_view version = line.substr(path_end + 1);
  std::string_view path = line.substr(method_end + 1, path_end - method_end - 1);
  if ((version != "HTTP/1.1" && version != "HTTP/1.0") || path.empty() || path.front() != '/' ||
      path.find(' ') != std::string_view::npos) {
    return absl::InvalidArgumentError("the request line is not \"METHOD PATH VERSION\"");
  }
  path = path.substr(0, path.find('?'));
  const int64_t body_bytes = (*fields)->body_bytes.value_or(0);
  if (body_bytes > kBodyMaxBytes) return absl::OutOfRangeError("the body is too long");
  return RequestHead{.method = std::string(line.substr(0, method_end)),
                     .path = std::string(path),
                     .keep_alive = (*fields)->keep_alive,
                     .body_bytes = body_bytes,
                     .head_bytes = (*fields)->head_bytes};
}

absl::StatusOr<std::optional<ResponseHead>> ParseResponseHead(std::string_view buffer) {
  absl::StatusOr<std::optional<Fields>> fields = ReadHead(buffer);
  if (!fields.ok()) return fields.status();
  if (!fields->has_value()) return std::nullopt;
  const std::string_view line = (*fields)->first_line;
  int status = 0;
  if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || line[8] != ' ' ||
      !absl::SimpleAtoi(Absl(line.substr(9, 3)), &status) || status < 100) {
    return absl::InvalidArgumentError("the status line is not that of HTTP/1.x");
  }
  return ResponseHead{.status = status,
                      .keep_alive = (*fields)->keep_alive,
                      .body_bytes = (*fields)->body_bytes,
                      .head_bytes = (*fields)->head_bytes};
}

std::string MakeResponse(int status, std::string_view body, bool keep_alive) {
  return absl::StrCat("HTTP/1.1 ", status, " ", Absl(ReasonPhrase(status)),
                      "\r\nContent-Type: text/plain\r\nContent-Length: ", body.size(),
                      keep_alive ? "" : "\r\nConnection: close", "\r\n\r\n", Absl(body));
}

}  // namespace shadow::demo
