#include "server/adapters.h"

#include <utility>

namespace shadow {

absl::StatusOr<Provider*> Providers::Get(const CompiledProvider& provider) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Provider>& made = made_[provider.key];
  if (made == nullptr) {
    auto fresh = make_(provider.spec);
    if (!fresh.ok()) return fresh.status();
    made = *std::move(fresh);
  }
  return made.get();
}

}  // namespace shadow
