// Work on many pools side by side: the loop calls it, whoever runs the loop lends the threads
// (StepWorkers). A part may touch nothing but its own pool.
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
