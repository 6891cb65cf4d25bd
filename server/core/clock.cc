#include "server/core/clock.h"

#include <chrono>
#include <ctime>

namespace shadow {

Instant SystemClock::Now() const {
  // Not absl::Now, which counts nanoseconds and ends in 2262.
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  return {.wall = absl::TimeFromTimespec(wall),
          .mono = absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch())};
}

void SystemClock::WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                            absl::Duration mono) {
  // wait_until on steady_clock would leave out libstdc++'s TSan-friendly path; a bounded wait_for
  // does not, and a waiter re-checks its condition anyway.
  const absl::Duration left = mono - Now().mono;
  if (left <= absl::ZeroDuration()) return;
  condition.wait_for(lock, absl::ToChronoNanoseconds(std::min(left, absl::Hours(1))));
}

}  // namespace shadow
