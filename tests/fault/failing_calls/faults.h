// Which calls of a process fail at present: memory that it shares with the test (shim.cc).
#pragma once

#include <atomic>
#include <cstdint>

namespace shadow {

inline constexpr char kFaultsVariable[] = "SHADOW_TEST_FAULTS";  // The path of the file.

// The file, all zero: none fails. Only what looks at processes and records of instances counts:
// files below /proc and below a directory `instances`. And fdatasync, which only the store calls.
struct Faults {
  enum Call : uint32_t {
    kOpen = 1,
    kRead = 2,
    kWrite = 4,
    kRename = 8,
    kSync = 16,
    kFork = 32,
    kStoreSync = 64,
  };
  static constexpr int32_t kNeverReturns = -1;  // As `error`: also when `calls` has changed.

  std::atomic<uint32_t> calls;   // A set of Call.
  std::atomic<int32_t> error;    // What they fail with: EMFILE and the like.
  std::atomic<int64_t> every;    // Each so many-th of them; 1: all.
  std::atomic<int64_t> seen;     // So many were made.
  std::atomic<int64_t> refused;  // And so many failed.
};
static_assert(std::atomic<int64_t>::is_always_lock_free);  // Between processes.

}  // namespace shadow
