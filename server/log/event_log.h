// The log's lines of what happened: one for each event.
#pragma once

#include "server/core/loop/changes.h"
#include "shadow/v1/event.pb.h"

namespace shadow {

// Its message, with the resource and the request that caused it as fields. Thread-safe.
void LogEvent(const v1::Event& event, LogLevel level);

}  // namespace shadow
