#include "server/event_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
  }
  return spdlog::level::warn;
}

// A line has no line ends, and nothing that steers a terminal: instances write part of it.
void MakeOneLine(std::string& text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
}

}  // namespace

void LogEvent(const v1::Event& event, LogLevel level) {
  if (!spdlog::should_log(SpdlogLevel(level))) return;
  std::string line = event.name();
  if (!line.empty()) line += ": ";
  line += event.message();
  if (!event.request_id().empty()) absl::StrAppend(&line, " (request ", event.request_id(), ")");
  MakeOneLine(line);
  spdlog::log(SpdlogLevel(level), "{}", line);
}

}  // namespace shadow
