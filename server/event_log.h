// The log's lines of what happened: one for each event.
#pragma once

#include "server/core/loop/changes.h"
#include "shadow/v1/event.pb.h"

namespace shadow {

// "pools/web/shadowPools/s1/instances/i12: WARMING -> FAILED: warm up: ... (request r-1)". To
// spdlog's default logger, thread-safe.
void LogEvent(const v1::Event& event, LogLevel level);

}  // namespace shadow
