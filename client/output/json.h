// Messages as JSON for scripts: protobuf's JSON mapping (lowerCamelCase, int64 as a string), but
//  - lists, maps and scalars without presence are never left out;
//  - an unset `holdUntilTime` is null; other unset messages and optional fields are left out;
//  - `bytes` (the host's text: reasons, event messages) are readable text, not base64: what is not
//    UTF-8 in them becomes U+FFFD;
//  - nothing in it can steer a terminal: control characters are escaped.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace shadow {

enum class JsonLayout { kIndented, kLine };

struct JsonStyle {
  JsonLayout layout = JsonLayout::kIndented;
  bool deleted = false;  // Adds `"deleted": true`: the last form of a resource that is gone.
};

// Without a line end.
std::string JsonText(const google::protobuf::Message& message, JsonStyle style = {});

// `text` as a string of JSON, quoted and escaped as above.
std::string JsonString(const std::string& text);

}  // namespace shadow
