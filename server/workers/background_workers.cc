#include "server/workers/background_workers.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace shadow {
namespace {

constexpr int kNice = 19;

// Of the calling thread, as Linux has it. A refusal changes nothing but the priority.
void GiveWay() { setpriority(PRIO_PROCESS, 0, kNice); }

}  // namespace

BackgroundWorkers::BackgroundWorkers(unsigned threads) {
  const unsigned count = std::clamp(threads, 1U, kThreadsMax);
  for (unsigned i = 0; i < count; ++i) workers_.emplace_back([this] { Work(); });
}

BackgroundWorkers::~BackgroundWorkers() { Stop(); }

void BackgroundWorkers::Post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(std::move(job));
  }
  filled_.notify_one();
}

void BackgroundWorkers::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  filled_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void BackgroundWorkers::Work() {
  GiveWay();
  while (true) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace shadow
