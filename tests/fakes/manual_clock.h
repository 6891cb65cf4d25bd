// A clock that stands still until it is told to move.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "server/core/clock.h"

namespace shadow {

// Thread-safe. Wall and monotonic time move together, but for SetWall.
class ManualClock final : public Clock {
 public:
  // A step boundary of every step from 1 s to 1 h.
  explicit ManualClock(absl::Time wall = absl::FromUnixSeconds(1'700'006'400))
      : now_{.wall = wall, .mono = absl::Hours(1)} {}

  Instant Now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  void Advance(absl::Duration by) {
    const std::lock_guard lock(mutex_);
    now_ = {.wall = now_.wall + by, .mono = now_.mono + by};
  }

  // As somebody who sets the clock of the host.
  void SetWall(absl::Time wall) {
    const std::lock_guard lock(mutex_);
    now_.wall = wall;
  }

  // Wakes now and then, for nobody tells `condition` that this clock has moved.
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration mono) override {
    if (Now().mono < mono) condition.wait_for(lock, std::chrono::milliseconds(1));
  }

 private:
  mutable std::mutex mutex_;
  Instant now_;
};

}  // namespace shadow
