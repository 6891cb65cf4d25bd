// Gives the memory of suspended units back, away from their callers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "server/core/ports.h"

namespace shadow {

// One at a time, on a thread of its own. Thread-safe; its destructor ends what is going on.
class Reclaimer {
 public:
  Reclaimer() : thread_([this](const std::stop_token& stop) { Run(stop); }) {}

  // Asks the kernel to reclaim all memory of the control group (memory.reclaim, Linux 5.19): to
  // swap, and what files can be read again. Where there is no swap, little is freed. `id`: for End.
  // Once more for the same unit, before End, goes on from the memory that it had at first.
  void Begin(const std::string& id, const std::string& cgroup_path);

  // It runs again, or has ended: no more of its memory is reclaimed, and what was is forgotten. May
  // return up to some 10 ms before the last part is through.
  void End(const std::string& id);

  // Since Begin. Unset: it is under way, or the control group does not tell.
  std::optional<ReclaimedMemory> Reclaimed(const std::string& id);

 private:
  struct Job {
    std::string id;
    std::string path;                     // Of the control group.
    std::optional<int64_t> before_bytes;  // Its memory; unset: not known.
  };

  void Run(const std::stop_token& stop);
  // True: some was freed, and there may be more.
  static bool ReclaimPart(const std::string& path);
  // What became of a job; unset: not known.
  static std::optional<ReclaimedMemory> Measure(const Job& job);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> jobs_;                              // The first one is being worked on.
  std::map<std::string, ReclaimedMemory> reclaimed_;  // By id; as many as jobs at most.
  std::jthread thread_;                               // Last: it uses everything above.
};

}  // namespace shadow
