// One line of the log as an entry of systemd's journal. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "server/log/log.h"
#include "spdlog/common.h"

namespace shadow {

// Of a field's value; what is longer is cut and ends with "...". All fields of an entry then fit
// into one datagram.
inline constexpr size_t kJournalValueMaxBytes = 16 * 1024;

// In the format of journald's native protocol, "NAME=value\n" each: MESSAGE, PRIORITY,
// SYSLOG_IDENTIFIER, and where they are known MESSAGE_ID, SHADOW_POOL, SHADOW_SHADOW,
// SHADOW_INSTANCE, SHADOW_RESOURCE, SHADOW_UID, SHADOW_CERTIFICATE, REQUEST_ID, CODE_FILE,
// CODE_LINE, CODE_FUNC. A value is one line of valid UTF-8: a control character or an invalid byte
// becomes "?", so no value adds a field. `place` is null where it is not known.
std::string JournalEntry(spdlog::level::level_enum level, const LogFields& fields,
                         std::string_view message, const CodePlace* place);

}  // namespace shadow
