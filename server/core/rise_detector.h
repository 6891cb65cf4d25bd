// Whether errors or response time are rising: a veto against scaling in. Pure.
#pragma once

#include <optional>

namespace shadow {

// Compares each reading with an exponentially weighted mean of those before it (weight kWeight of
// the newest). Rising: errors above twice their mean and above kErrorsFloor a second, or a response
// time above 1.5 x its mean and more than kResponseSlackMs beyond it. e.g. mean 20 ms: 45 ms is
// rising (1.5 x 20 = 30, 20 + 20 = 40), 38 ms is not. An unset reading changes nothing.
class RiseDetector {
 public:
  struct State {
    std::optional<double> errors_mean;
    std::optional<double> response_mean;
    bool rising = false;
  };

  RiseDetector() = default;
  explicit RiseDetector(const State& state) : state_(state) {}

  void Update(std::optional<double> errors_per_second, std::optional<double> response_time_ms);
  bool rising() const { return state_.rising; }
  const State& state() const { return state_; }

  static constexpr double kWeight = 0.1;
  static constexpr double kErrorsFloor = 0.1;
  static constexpr double kResponseSlackMs = 20;

 private:
  State state_;
};

}  // namespace shadow
