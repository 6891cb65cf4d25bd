#include "server/web/feed_worker.h"

#include <utility>

namespace shadow {

FeedWorker::FeedWorker() : thread_([queue = queue_] { Run(*queue); }) {}

FeedWorker::~FeedWorker() {
  std::deque<std::function<void()>> dropped;  // Ends outside of the lock.
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->ended = true;
    dropped.swap(queue_->work);
  }
  queue_->changed.notify_one();
  thread_.join();
}

std::function<void(std::function<void()>)> FeedWorker::poster() const {
  return [queue = queue_](std::function<void()> work) {
    {
      const std::lock_guard lock(queue->mutex);
      if (queue->ended) return;
      queue->work.push_back(std::move(work));
    }
    queue->changed.notify_one();
  };
}

void FeedWorker::Run(Queue& queue) {
  std::unique_lock lock(queue.mutex);
  while (true) {
    queue.changed.wait(lock, [&queue] { return queue.ended || !queue.work.empty(); });
    if (queue.ended) return;
    std::function<void()> work = std::move(queue.work.front());
    queue.work.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace shadow
