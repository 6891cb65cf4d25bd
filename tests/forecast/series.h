// Series for forecaster tests: a day of `kDay` steps of 5 minutes.
#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "forecast/forecaster.h"

namespace shadow::testing {

inline constexpr int64_t kDay = 288;
inline const Forecaster::Options kOptions = {.step = absl::Minutes(5),
                                             .season_lengths = {absl::Hours(24), absl::Hours(168)}};

inline absl::Time StepTime(int64_t index) { return absl::FromUnixSeconds(index * 300); }

// A forecaster that was given `value(i)` for i in [0, steps).
inline std::unique_ptr<Forecaster> Fed(int64_t steps, const std::function<double(int64_t)>& value) {
  auto forecaster = MakeForecaster(kOptions);
  for (int64_t i = 0; i < steps; ++i) {
    if (!forecaster->Update(StepTime(i), value(i)).ok()) return nullptr;
  }
  return forecaster;
}

// Low at night, high by day, with a wobble that repeats only every 7 x 11 steps.
inline double Daily(int64_t i) {
  const double phase = 2 * M_PI * static_cast<double>(i % kDay) / static_cast<double>(kDay);
  return 100 - 60 * std::cos(phase) + static_cast<double>(i % 7) - static_cast<double>(i % 11) / 2;
}

// The bundled trace of the demonstration: 16 days of 48 steps of 30 minutes.
inline std::vector<double> Trace() {
  std::ifstream file(SHADOW_TEST_DATA "/demand_30m.csv");
  std::vector<double> values;
  std::string line;
  std::getline(file, line);  // The header.
  while (std::getline(file, line)) values.push_back(std::stod(line.substr(line.find(',') + 1)));
  return values;
}

}  // namespace shadow::testing
