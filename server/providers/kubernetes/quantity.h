// Quantities of Kubernetes: "250m", "1.5", "64Mi", "1e3". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shadow {

// In thousandths of its unit, rounded up: "250m" is 250, "1Ki" 1'024'000. Unset: it is none, is
// negative, or does not fit.
std::optional<int64_t> ParseQuantityMillis(std::string_view text);

}  // namespace shadow
