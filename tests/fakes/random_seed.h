// The seed of a test that draws at random.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace shadow {

// SHADOWD_TEST_SEED where it is set, otherwise a new one each time. Printed, so that a run can be
// repeated: as far as threads and processes allow it, it then does the same.
inline uint64_t RandomSeed() {
  const char* given = std::getenv("SHADOWD_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : uint64_t{std::random_device()()};
  std::printf("SHADOWD_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

}  // namespace shadow
