// What every UsageSource promises (server/core/ports.h), for the fake and the real ones.
#pragma once

#include <functional>
#include <string>

#include "server/core/clock.h"
#include "server/core/ports.h"

namespace shadow {

struct UsageCase {
  UsageSource& source;
  const Clock& clock;
  std::function<void()> demand;  // Makes demand, so that a Read soon after can have a sample of it.
  std::function<void()> lose;    // From now on the source cannot be asked.
};

// In sections of the test case that calls it; the source is to be new in each.
void CheckUsageSource(const UsageCase& subject);

}  // namespace shadow
