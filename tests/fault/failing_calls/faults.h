// Which system calls of a process fail at present (shim.cc, other_calls.cc): of the test itself, or
// of a daemon that shares this memory with it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shadow {

inline constexpr char kFaultsVariable[] = "SHADOW_TEST_FAULTS";  // The path of the file.

// The file, all zero: none fails. Two kinds of calls count. Those of the provider, and of what asks
// its neighbours: at files below /proc and below a directory `instances`, at pipes, sockets that
// connect, pidfds and inotify. And those of the store (OfStore): at its databases and their WALs,
// the ballast and the machine id. Sockets that listen, and what they accept, do not count.
struct Faults {
  enum Call : uint64_t {
    kOpen = 1,   // Also openat, opendir.
    kRead = 2,   // Also pread.
    kWrite = 4,  // Also pwrite, ftruncate, truncate, posix_fallocate.
    kRename = 8,
    kSync = 16,  // fsync, fdatasync
    kFork = 32,
    kList = 64,   // readdir
    kStat = 128,  // stat, lstat, fstat
    kUnlink = 256,
    kPipe = 512,  // pipe2, socketpair
    kSocket = 1024,
    kPidfd = 2048,  // pidfd_open
    kPoll = 4096,
    kWatch = 8192,  // inotify_init1, inotify_add_watch
    kConnect = 16384,
    kSend = 32768,
    kReceive = 65536,
  };
  static constexpr uint64_t OfStore(uint64_t calls) { return calls << 32; }

  static constexpr int32_t kNeverReturns = -1;  // As `error`: also when `calls` has changed.
  static constexpr int32_t kShort = -2;         // What moves bytes moves half, and does not fail.
  static constexpr int32_t kFew = -3;           // As kShort, at most kFewBytes.
  static constexpr size_t kFewBytes = 5;

  std::atomic<uint64_t> calls;        // A set of Call.
  std::atomic<int32_t> error;         // What they fail with: EMFILE and the like.
  std::atomic<int64_t> every;         // Each so many-th of them; 1: all.
  std::atomic<int64_t> refusals_max;  // So many fail, and no more; 0: there is no limit.
  std::atomic<int64_t> seen;          // So many were made.
  std::atomic<int64_t> refused;       // And so many failed.
};
static_assert(std::atomic<int64_t>::is_always_lock_free);  // Between processes.

// Of this process, which shim.cc is linked into or loaded before.
Faults& FaultsHere();

}  // namespace shadow
