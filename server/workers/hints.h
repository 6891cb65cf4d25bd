// The way of providers' hints to the control thread: bounded, whatever they are called for.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow {

// The ids that providers have hinted at and the control thread has not taken yet. Owned by
// ControlThread. Thread-safe: providers call Note on their threads, the control thread calls Take.
//
// An instance that touches its files all the time makes its provider hint all the time. Each id
// passes once in an interval; the next regular look finds what a dropped hint would have told.
class Hints {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr size_t kIdsMax = 1024;  // In one interval, and waiting to be taken.

  // `clock` must outlive it. Note calls `filled` when an id is the first to wait; `filled` must not
  // block.
  Hints(Clock& clock, std::function<void()> filled);

  // Drops `id` if it has passed in this interval already, or if kIdsMax have.
  void Note(std::string_view id);

  // Every id that waits; none waits afterwards.
  std::set<std::string> Take();

 private:
  Clock& clock_;
  const std::function<void()> filled_;
  std::mutex mutex_;  // Guards what follows.
  absl::Duration interval_begin_ = -absl::InfiniteDuration();
  std::set<std::string> noted_;  // In this interval.
  std::set<std::string> waiting_;
};

}  // namespace shadow
