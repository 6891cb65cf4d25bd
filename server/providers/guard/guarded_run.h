// Runs a command and ends all that it has started.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/process_spawn.h"

namespace shadow {

// Runs a program to its end and returns the first `output_max_bytes` of what it writes. All that it
// started, in whatever session, is killed when its first process has ended, and with it after
// `timeout` or when `stop` is asked for. kDeadlineExceeded, kCancelled, and as Spawn and Release;
// kUnavailable: its output could not be read. Not an error: an exit status.
absl::StatusOr<std::string> RunToEnd(SpawnSpec plan, Clock& clock, absl::Duration timeout,
                                     size_t output_max_bytes, const std::stop_token& stop);

}  // namespace shadow
