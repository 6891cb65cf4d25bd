// The one place that reads time or waits. Everything below the control loop takes `Instant now`.
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace shadow {

// Wall time for grids, stamps and holds; monotonic time (since an arbitrary start) for deadlines.
struct Instant {
  absl::Time wall;
  absl::Duration mono;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  virtual Instant Now() const = 0;

  // Waits on `condition` until it is notified or `mono` is reached on this clock; may wake early.
  virtual void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                         absl::Duration mono) = 0;
};

class SystemClock final : public Clock {
 public:
  Instant Now() const override;
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration mono) override;
};

}  // namespace shadow
