// Threads that help the control thread through a tick (steps that end, saves), and before it
// begins through a start.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace shadow {

// They own nothing, and rest between two runs.
class StepWorkers {
 public:
  static constexpr unsigned kThreadsMax = 16;

  // With the caller of Run, `threads` work; at least 1, kThreadsMax at most.
  explicit StepWorkers(unsigned threads);
  ~StepWorkers();

  // Runs part(0) to part(count - 1) on them and on the caller's thread, in any order; returns when
  // all have ended. Not from a part, and from one thread at a time.
  void Run(size_t count, const std::function<void(size_t)>& part);

  unsigned threads() const { return static_cast<unsigned>(helpers_.size()) + 1; }

 private:
  void Help();
  void Work(size_t count, const std::function<void(size_t)>& part);

  std::atomic<size_t> next_ = 0;  // Part that nobody has taken.

  std::mutex mutex_;  // Guards what follows, but helpers_.
  std::condition_variable begun_;
  std::condition_variable ended_;
  const std::function<void(size_t)>* part_ = nullptr;
  size_t count_ = 0;
  size_t wanted_ = 0;   // Helpers that this run still has work for.
  size_t working_ = 0;  // Helpers that are at work.
  bool stopping_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace shadow
