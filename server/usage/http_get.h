// One GET whose answer is bounded in bytes, in time and in redirects. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

// Absolute paths, read at each call; empty: none. Either a token or a name and a password.
struct HttpCredentials {
  std::string bearer_token_file;
  std::string username_file;
  std::string password_file;
  std::string ca_file;  // These authorities alone; empty: those that the host trusts.
};

struct HttpGet {
  std::string url;
  std::string accept;  // "application/json"
  HttpCredentials credentials;
  size_t answer_max_bytes = 0;
  absl::Duration timeout;
};

struct HttpAnswer {
  int status = 0;  // 200
  std::string content_type;
  std::string body;
  std::vector<std::string> secrets;  // Of the request, which the server may repeat.
};

// What the server answered, whatever its status. Follows three redirects at most, from https to
// https alone; credentials go to the host that was asked for alone. No proxy. kDeadlineExceeded:
// no whole answer in time. kUnavailable: no connection, an answer that was broken off or has more
// bytes than are taken, or a file of credentials that cannot be read. No error names a secret.
absl::StatusOr<HttpAnswer> GetHttp(const HttpGet& get);

// `text` from `answer`, for a message: printable, short, and not shown where it repeats a secret.
std::string QuotedAnswer(const HttpAnswer& answer, const std::string& text);

// "http://10.0.0.7:9090/prometheus" of a URL: without credentials, "?" and what follows it.
std::string PublicUrl(const std::string& url);

}  // namespace shadow
