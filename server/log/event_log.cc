#include "server/log/event_log.h"

#include "server/log/log.h"

namespace shadow {

void LogEvent(const v1::Event& event, LogLevel level) {
  if (!Logs(level)) return;
  LogFields fields = FieldsOf(event.name());
  fields.request_id = event.request_id();
  Log(level, fields, event.message());
}

}  // namespace shadow
