// A decision in words, with its numbers.
#pragma once

#include <string>

#include "shadow/v1/usage.pb.h"

namespace shadow {

// The verdict, the daemon's own explanation, and the inputs that led to it, one a line; unknown
// inputs are named as unknown. Every line is ended.
std::string ExplainDecision(const v1::Decision& decision);

}  // namespace shadow
