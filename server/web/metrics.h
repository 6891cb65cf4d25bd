// The daemon's metrics in the text format of Prometheus. Pure.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "server/control_thread.h"
#include "server/core/loop/status/snapshot.h"
#include "server/workers/call_counts.h"

namespace shadow {

struct MetricsInput {
  const Snapshot& snapshot;
  const CallCounts& calls;
  ControlThread::TickTimes ticks;
  ControlThread::Queues queues;
  bool store_stalled = false;
  size_t watchers = 0;
  std::string version;
  absl::Time start_time;  // Of the daemon.
};

// Names, types and units: server/web/README.md. Counters begin anew with the daemon.
std::string MetricsText(const MetricsInput& input);

}  // namespace shadow
