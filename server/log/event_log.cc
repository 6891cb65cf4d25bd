#include "server/log/event_log.h"

#include "server/log/log.h"

namespace shadow {
namespace {

MessageKind MessageKindOf(const v1::Event& event, const LogFields& fields, LogLevel level) {
  if (event.kind() == v1::Event::RECOVERED) return MessageKind::kStarted;
  if (event.instance().state() == v1::Instance::FAILED) return MessageKind::kInstanceFailed;
  if (level != LogLevel::kDebug && level != LogLevel::kInfo) return MessageKind::kWarned;
  if (!fields.instance.empty()) return MessageKind::kInstance;
  if (!fields.shadow.empty()) return MessageKind::kShadow;
  if (!fields.pool.empty()) return MessageKind::kPool;
  return fields.resource.starts_with("dnas/") ? MessageKind::kDna : MessageKind::kDaemon;
}

}  // namespace

void LogEvent(const v1::Event& event, LogLevel level) {
  if (!Logs(level)) return;
  LogFields fields = FieldsOf(event.name());
  fields.request_id = event.request_id();
  fields.kind = MessageKindOf(event, fields, level);
  Log(level, fields, event.message());
}

}  // namespace shadow
