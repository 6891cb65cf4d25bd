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

// Names follow the conventions of Prometheus: base units, "_total" for what only grows. Counters
// begin anew with the daemon. Of 10,000 pools it is some 20 MB, and takes long.
std::string MetricsText(const MetricsInput& input);

}  // namespace shadow
