// One thread for what the live page's answers take: reads of the disk, and large JSON.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace shadow {

// Whoever posts bounds how much waits (FeedCache::kMakesMax).
class FeedWorker {
 public:
  FeedWorker();
  // Waits for what runs; what still waits is dropped.
  ~FeedWorker();
  FeedWorker(const FeedWorker&) = delete;
  FeedWorker& operator=(const FeedWorker&) = delete;

  // Gives it work, from any thread; later than the end of this it drops it.
  std::function<void(std::function<void()>)> poster() const;

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> work;
    bool ended = false;
  };
  static void Run(Queue& queue);

  const std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();  // With each poster.
  std::thread thread_;
};

}  // namespace shadow
