// What an answer of an API server that is no success means. Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace shadow {

// `body`: a Status of Kubernetes, or anything. The codes are those of api_client.h; the message is
// printable ASCII of at most 300 bytes.
absl::Status ErrorOfAnswer(long http_status, std::string_view body);

// `text` of others, for people: printable ASCII, at most `max_bytes`.
std::string Printable(std::string_view text, size_t max_bytes);

}  // namespace shadow
