// What must hold between our own data, whatever the world does: where it does not, the program is
// wrong and ends, before it does harm. For .cc files alone: Catch has a CHECK of its own.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace shadow {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, condition);
  std::abort();
}

}  // namespace shadow

#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) shadow::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

// One that costs too much for every day: in builds without NDEBUG, as those of the sanitizers are.
#ifdef NDEBUG
#define DCHECK(condition) \
  do {                    \
  } while (false && (condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
