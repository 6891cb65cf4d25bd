#include "server/workers/step_workers.h"

#include <algorithm>

namespace shadow {

StepWorkers::StepWorkers(unsigned threads) {
  const unsigned helpers = std::clamp(threads, 1U, kThreadsMax) - 1;
  for (unsigned i = 0; i < helpers; ++i) helpers_.emplace_back([this] { Help(); });
}

StepWorkers::~StepWorkers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  begun_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void StepWorkers::Run(size_t count, const std::function<void(size_t)>& part) {
  const size_t helpers = std::min(helpers_.size(), count > 0 ? count - 1 : 0);
  next_ = 0;
  if (helpers > 0) {
    const std::lock_guard lock(mutex_);
    part_ = &part;
    count_ = count;
    wanted_ = helpers;
  }
  for (size_t i = 0; i < helpers; ++i) begun_.notify_one();
  Work(count, part);
  if (helpers == 0) return;
  std::unique_lock lock(mutex_);
  wanted_ = 0;  // Who has not begun yet finds nothing to do.
  ended_.wait(lock, [this] { return working_ == 0; });
}

void StepWorkers::Work(size_t count, const std::function<void(size_t)>& part) {
  for (size_t i = next_++; i < count; i = next_++) part(i);
}

void StepWorkers::Help() {
  std::unique_lock lock(mutex_);
  while (true) {
    begun_.wait(lock, [this] { return stopping_ || wanted_ > 0; });
    if (stopping_) return;
    --wanted_;
    ++working_;
    const std::function<void(size_t)>& part = *part_;
    const size_t count = count_;
    lock.unlock();
    Work(count, part);
    lock.lock();
    if (--working_ == 0) ended_.notify_one();
  }
}

}  // namespace shadow
