#include "client/adopt/pod_quantity.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"

namespace shadow {

std::optional<std::int64_t> PodQuantityMillis(std::string_view text) {
  constexpr double kMax = 9e18;
  constexpr double kKibi = 1024;
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1e3},
      {"m", 1},
      {"k", 1e6},
      {"M", 1e9},
      {"G", 1e12},
      {"T", 1e15},
      {"Ki", 1e3 * kKibi},
      {"Mi", 1e3 * kKibi * kKibi},
      {"Gi", 1e3 * kKibi * kKibi * kKibi},
      {"Ti", 1e3 * kKibi * kKibi * kKibi * kKibi},
  };
  const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  if (length == 0 || !absl::SimpleAtod({text.data(), length}, &number)) return std::nullopt;
  for (const auto& [suffix, millis] : kUnits) {
    if (text.substr(length) != suffix || number * millis > kMax) continue;
    return static_cast<std::int64_t>(std::ceil(number * millis));
  }
  return std::nullopt;
}

}  // namespace shadow
