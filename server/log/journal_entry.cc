#include "server/log/journal_entry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/spec/utf8.h"
#include "server/log/message_kinds.h"

namespace shadow {
namespace {

// syslog(3)'s, as journalctl --priority takes them.
int Priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return 2;
    case spdlog::level::err:
      return 3;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::info:
      return 6;
    case spdlog::level::trace:
    case spdlog::level::debug:
    case spdlog::level::off:
    case spdlog::level::n_levels:
      return 7;
  }
  return 7;
}

void AppendValue(std::string_view value, std::string& entry) {
  constexpr std::string_view kCut = "...";
  const size_t end = entry.size() + kJournalValueMaxBytes;
  while (!value.empty()) {
    const size_t length = Utf8SequenceLength(value);
    const bool shown = length > 0 && !IsControlSequence(value);
    const std::string_view next = shown ? value.substr(0, length) : "?";
    // What is shown is never longer than what it stands for.
    const size_t cut = entry.size() + value.size() > end ? kCut.size() : 0;
    if (entry.size() + next.size() + cut > end) {
      entry.append(kCut);
      return;
    }
    entry.append(next);
    value.remove_prefix(std::max<size_t>(length, 1));
  }
}

void AppendField(std::string_view name, std::string_view value, std::string& entry) {
  if (value.empty()) return;
  entry.append(name).append("=");
  AppendValue(value, entry);
  entry.append("\n");
}

// "server/log/log.cc", wherever it was built.
std::string_view InTree(std::string_view file) {
  const size_t begin = file.rfind("server/");
  return begin == std::string_view::npos ? file : file.substr(begin);
}

}  // namespace

std::string JournalEntry(spdlog::level::level_enum level, const LogFields& fields,
                         std::string_view message, const CodePlace* place) {
  std::string entry;
  AppendField("MESSAGE", message.empty() ? " " : message, entry);
  AppendField("PRIORITY", absl::StrCat(Priority(level)), entry);
  AppendField("SYSLOG_IDENTIFIER", "shadowd", entry);
  if (fields.kind.has_value()) AppendField("MESSAGE_ID", MessageIdOf(*fields.kind), entry);
  AppendField("SHADOW_POOL", fields.pool, entry);
  AppendField("SHADOW_SHADOW", fields.shadow, entry);
  AppendField("SHADOW_INSTANCE", fields.instance, entry);
  AppendField("SHADOW_RESOURCE", fields.resource, entry);
  if (fields.uid.has_value()) AppendField("SHADOW_UID", absl::StrCat(*fields.uid), entry);
  AppendField("SHADOW_CERTIFICATE", fields.certificate, entry);
  AppendField("REQUEST_ID", fields.request_id, entry);
  if (place == nullptr) return entry;
  AppendField("CODE_FILE", InTree(place->file), entry);
  AppendField("CODE_LINE", absl::StrCat(place->line), entry);
  AppendField("CODE_FUNC", place->function, entry);
  return entry;
}

}  // namespace shadow
