// How far the wall clock of a process is set from the machine's: memory that it shares with the
// test (shim.cc).
#pragma once

#include <atomic>
#include <cstdint>

namespace shadow {

inline constexpr char kClockVariable[] = "SHADOW_TEST_CLOCK";  // The path of the file.

// The file, all zero: not at all.
struct ClockOffset {
  std::atomic<int64_t> nanoseconds;  // Ahead; negative: behind.
};
static_assert(std::atomic<int64_t>::is_always_lock_free);  // Between processes.

}  // namespace shadow
