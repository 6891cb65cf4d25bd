// Threads of the lowest priority for what nobody waits for: fits, and pools that learn again. They
// take what everything else leaves of the cores.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace shadow {

// Thread-safe. The queue is bounded by who posts: the control loop has few jobs under way.
class BackgroundWorkers {
 public:
  static constexpr unsigned kThreadsMax = 16;

  // At least 1 thread, kThreadsMax at most.
  explicit BackgroundWorkers(unsigned threads);

  // Stop.
  ~BackgroundWorkers();

  // First come, first served. Dropped after Stop.
  void Post(std::function<void()> job);

  // Waits for the jobs that have begun, and drops those that have not.
  void Stop();

 private:
  void Work();

  std::mutex mutex_;  // Guards what follows, but workers_.
  std::condition_variable filled_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace shadow
