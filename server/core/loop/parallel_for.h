// How the loop has work done side by side that concerns one pool each.
#pragma once

#include <cstddef>
#include <functional>

namespace shadow {

// Runs part(0) to part(count - 1), on any threads and in any order; returns when all have ended.
using ParallelFor = std::function<void(size_t count, const std::function<void(size_t)>& part)>;

// In order, on the caller's thread.
inline void OneByOne(size_t count, const std::function<void(size_t)>& part) {
  for (size_t i = 0; i < count; ++i) part(i);
}

}  // namespace shadow
