#include "server/workers/hints.h"

#include <utility>

namespace shadow {

Hints::Hints(Clock& clock, std::function<void()> filled)
    : clock_(clock), filled_(std::move(filled)) {}

void Hints::Note(std::string_view id) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const absl::Duration now = clock_.Now().mono;
    if (now - interval_begin_ >= kInterval) {
      interval_begin_ = now;
      noted_.clear();
    }
    if (noted_.size() >= kIdsMax || waiting_.size() >= kIdsMax) return;
    if (!noted_.emplace(id).second) return;
    first = waiting_.empty();
    waiting_.emplace(id);
  }
  if (first) filled_();
}

std::set<std::string> Hints::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

}  // namespace shadow
