#include "tests/demo/curve.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace shadow::demo {

absl::StatusOr<std::vector<double>> ReadCurve(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::vector<double> curve;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const size_t comma = line.rfind(',');
    const std::string cell = comma == std::string::npos ? line : line.substr(comma + 1);
    double value = 0;
    const bool is_number = absl::SimpleAtod(cell, &value);
    if (!is_number && number == 1) continue;
    if (!is_number || !(value >= 0 && value <= kRateMax)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": \"", cell, "\" is not a number from 0 to ", kRateMax));
    }
    if (curve.size() == kCurveStepsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": more than ", kCurveStepsMax, " rows"));
    }
    curve.push_back(value);
  }
  if (curve.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no rows"));
  return curve;
}

absl::StatusOr<std::vector<double>> ScaleToPeak(std::vector<double> curve, double peak) {
  const auto highest = std::max_element(curve.begin(), curve.end());
  if (highest == curve.end() || !(*highest > 0)) {
    return absl::InvalidArgumentError("a curve of zeros cannot be scaled");
  }
  const double factor = peak / *highest;
  for (double& value : curve) value *= factor;
  return curve;
}

std::vector<absl::Duration> Arrivals(const std::vector<double>& rates, absl::Duration step,
                                     uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> within(0, 1);
  std::vector<absl::Duration> arrivals;
  double owed = 0;
  for (size_t i = 0; i < rates.size(); ++i) {
    owed += rates[i] * absl::ToDoubleSeconds(step);
    const auto count = static_cast<size_t>(std::floor(owed + 1e-9));
    owed -= static_cast<double>(count);
    const auto first = static_cast<std::ptrdiff_t>(arrivals.size());
    for (size_t k = 0; k < count; ++k) {
      arrivals.push_back(step * (static_cast<double>(i) + within(random)));
    }
    std::sort(arrivals.begin() + first, arrivals.end());
  }
  return arrivals;
}

absl::Status WriteHistory(const std::string& path, const std::vector<double>& values,
                          absl::Time last_step, absl::Duration step) {
  std::ofstream file(path);
  file << "timestamp,value\n";
  absl::Time time = last_step - step * (static_cast<double>(values.size()) - 1);
  for (const double value : values) {
    file << absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone()) << ","
         << absl::StrFormat("%.3f", value) << "\n";
    time += step;
  }
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

}  // namespace shadow::demo
