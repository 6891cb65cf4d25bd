// The daemon's log: a level, what the line is about as fields, and a message. Every sink gets the
// same fields, so call sites do not know it: text on standard error, or systemd's journal.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "server/core/loop/changes.h"
#include "server/log/message_kinds.h"
#include "spdlog/common.h"

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
  // By which the journal finds lines of this kind; text does not show it.
  std::optional<MessageKind> kind = {};
};

// Where a line comes from. Of compilers without std::source_location.
struct CodePlace {
  const char* file;
  int line;
  const char* function;

  static CodePlace Here(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                        const char* function = __builtin_FUNCTION()) {
    return {.file = file, .line = line, .function = function};
  }
};

// Of a resource, by its name. FieldsOf("pools/web/instances/i12") has pool "web", instance "i12".
LogFields FieldsOf(std::string_view resource);

// Whether lines of this level are kept: for call sites where it costs something to make one.
bool Logs(LogLevel level);

// To spdlog's default logger, thread-safe. What is set of `fields` follows the message, in the
// order of LogFields: "WARMING -> FAILED: no answer pool=web shadow=s1 instance=i12
// request_id=r-1". A JournalSink, which is a logger's only one, gets the fields by themselves too.
void Log(LogLevel level, const LogFields& fields, std::string message,
         const CodePlace& place = CodePlace::Here());
// Of the levels that events do not have: err, and critical for what ends the daemon.
void Log(spdlog::level::level_enum level, const LogFields& fields, std::string message,
         const CodePlace& place = CodePlace::Here());

}  // namespace shadow
