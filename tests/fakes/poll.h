// Waiting for something that happens elsewhere: the one place where tests may sleep.
#pragma once

#include <chrono>
#include <thread>

#include "absl/time/time.h"

namespace shadow {

// How long a test waits for what takes milliseconds, before it fails.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

// Calls `condition` (no argument, returns bool) every 5 ms until it is true or `deadline`, counted
// from now, has passed. Returns its last answer. It is called at least once, and once more at the
// end, so that a slow machine does not fail what has happened in the meantime. Any thread.
template <typename F>
bool PollUntil(absl::Duration deadline, F condition) {
  constexpr std::chrono::milliseconds kInterval{5};
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(deadline);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(kInterval);
  }
  return condition();
}

}  // namespace shadow
