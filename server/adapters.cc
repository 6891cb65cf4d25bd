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
    made->Listen([this](std::string_view id) { Tell(id); });
  }
  return made.get();
}

void Providers::Listen(std::function<void(std::string_view id)> hear) {
  const std::lock_guard lock(hear_mutex_);
  hear_ = std::move(hear);
}

void Providers::Tell(std::string_view id) {
  const std::lock_guard lock(hear_mutex_);
  if (hear_) hear_(id);
}

}  // namespace shadow
