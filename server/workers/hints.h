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

// Thread-safe. An instance that touches its files all the time can make its provider tell of it all
// the time; it passes here once in an interval, and what is dropped is found by the next look.
class Hints {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr size_t kIdsMax = 1024;  // In one interval, and waiting to be taken.

  // `clock` must outlive it. `filled` is called by Note when the first one waits; it must not
  // block.
  Hints(Clock& clock, std::function<void()> filled);

  void Note(std::string_view id);

  // All that wait, each once.
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
