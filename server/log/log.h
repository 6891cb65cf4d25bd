// The daemon's log: a level, what the line is about as fields, and a message. Every sink gets the
// same fields, so call sites do not know it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "server/core/loop/changes.h"

namespace shadow {

// Empty or unset: the line is about none.
struct LogFields {
  std::string pool = {};          // Short names: "web".
  std::string shadow = {};        // "r0123456789ab"
  std::string instance = {};      // "i12"
  std::string resource = {};      // Of another kind, by its whole name: "dnas/web".
  std::optional<uid_t> uid = {};  // Who asked.
  std::string certificate = {};   // The same over TCP: "CN=ops".
  std::string request_id = {};    // As the caller gave it.
};

// Of a resource, by its name. FieldsOf("pools/web/instances/i12") has pool "web", instance "i12".
LogFields FieldsOf(std::string_view resource);

// Whether lines of this level are kept: for call sites where it costs something to make one.
bool Logs(LogLevel level);

// To spdlog's default logger, thread-safe. What is set of `fields` follows the message, in the
// order of LogFields: "WARMING -> FAILED: no answer pool=web shadow=s1 instance=i12
// request_id=r-1".
void Log(LogLevel level, const LogFields& fields, std::string message);

}  // namespace shadow
