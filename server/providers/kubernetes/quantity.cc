#include "server/providers/kubernetes/quantity.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr double kMax = 9e18;
constexpr size_t kTextMaxBytes = 64;

constexpr std::pair<std::string_view, double> kSuffixes[] = {
    {"n", 1e-9},
    {"u", 1e-6},
    {"m", 1e-3},
    {"", 1},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"P", 1e15},
    {"E", 1e18},
    {"Ki", 1024.0},
    {"Mi", 1024.0 * 1024},
    {"Gi", 1024.0 * 1024 * 1024},
    {"Ti", 1024.0 * 1024 * 1024 * 1024},
    {"Pi", 1024.0 * 1024 * 1024 * 1024 * 1024},
    {"Ei", 1024.0 * 1024 * 1024 * 1024 * 1024 * 1024},
};

// Up to where a number goes; an "e" that no digit or sign follows is a suffix.
size_t NumberLength(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && (IsDigit(text[end]) || text[end] == '.')) ++end;
  if (end + 1 < text.size() && (text[end] == 'e' || text[end] == 'E') &&
      (IsDigit(text[end + 1]) || text[end + 1] == '-' || text[end + 1] == '+')) {
    end += 2;
    while (end < text.size() && IsDigit(text[end])) ++end;
  }
  return end;
}

}  // namespace

std::optional<int64_t> ParseQuantityMillis(std::string_view text) {
  if (text.size() > kTextMaxBytes) return std::nullopt;
  const size_t length = NumberLength(text);
  double number = 0;
  if (length == 0 || !absl::SimpleAtod(Absl(text.substr(0, length)), &number)) return std::nullopt;
  for (const auto& [suffix, factor] : kSuffixes) {
    if (text.substr(length) != suffix) continue;
    const double millis = number * factor * 1000;
    if (!(millis <= kMax)) return std::nullopt;
    // 0.1 of a unit is no whole number of them, and yet not one more.
    const double nearest = std::round(millis);
    return static_cast<int64_t>(std::abs(millis - nearest) < 1e-6 ? nearest : std::ceil(millis));
  }
  return std::nullopt;
}

}  // namespace shadow
