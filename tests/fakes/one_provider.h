// A daemon's providers, of which there is one.
#pragma once

#include <memory>
#include <utility>

#include "server/adapters.h"

namespace shadow {

inline std::unique_ptr<Providers> ProvidersOf(std::unique_ptr<Provider> provider) {
  auto only = std::make_shared<std::unique_ptr<Provider>>(std::move(provider));
  return std::make_unique<Providers>(
      [only](const v1::Provider&) -> absl::StatusOr<std::unique_ptr<Provider>> {
        if (*only == nullptr) return absl::InternalError("a second provider was asked for");
        return std::move(*only);
      });
}

}  // namespace shadow
