#include "server/log/log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/log/journal_sink.h"
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

void Append(std::string_view name, std::string_view value, std::string& line) {
  if (value.empty()) return;
  line.append(" ").append(name).append("=").append(value);
}

// The field that a collection's resources have; nullptr: none of its own.
std::string* FieldOf(std::string_view collection, LogFields& fields) {
  if (collection == "pools") return &fields.pool;
  if (collection == "shadowPools") return &fields.shadow;
  if (collection == "instances") return &fields.instance;
  return nullptr;
}

// Null: the default logger writes text.
JournalSink* Journal() {
  const auto& sinks = spdlog::default_logger_raw()->sinks();
  return sinks.size() == 1 ? dynamic_cast<JournalSink*>(sinks.front().get()) : nullptr;
}

}  // namespace

LogFields FieldsOf(std::string_view resource) {
  LogFields fields;
  std::string_view rest = resource;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    std::string* field =
        slash == std::string_view::npos ? nullptr : FieldOf(rest.substr(0, slash), fields);
    if (field == nullptr) {
      LogFields other;
      other.resource = resource;
      return other;
    }
    rest.remove_prefix(slash + 1);
    *field = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), field->size() + 1));
  }
  return fields;
}

bool Logs(LogLevel level) { return spdlog::should_log(SpdlogLevel(level)); }

void Log(LogLevel level, const LogFields& fields, std::string message, const CodePlace& place) {
  Log(SpdlogLevel(level), fields, std::move(message), place);
}

void Log(spdlog::level::level_enum level, const LogFields& fields, std::string message,
         const CodePlace& place) {
  if (!spdlog::should_log(level)) return;
  Append("pool", fields.pool, message);
  Append("shadow", fields.shadow, message);
  Append("instance", fields.instance, message);
  Append("resource", fields.resource, message);
  if (fields.uid.has_value()) Append("uid", absl::StrCat(*fields.uid), message);
  Append("certificate", fields.certificate, message);
  Append("request_id", fields.request_id, message);
  MakeOneLine(message);
  if (JournalSink* journal = Journal(); journal != nullptr) {
    return journal->Write(level, fields, message, place);
  }
  spdlog::log(level, "{}", message);
}

}  // namespace shadow
