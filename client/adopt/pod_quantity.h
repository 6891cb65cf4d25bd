// Quantities of Kubernetes: "250m", "1.5", "64Mi". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shadow {

// In thousandths of its unit, rounded up: "250m" is 250. Unset: it is none, or does not fit.
std::optional<std::int64_t> PodQuantityMillis(std::string_view text);

}  // namespace shadow
