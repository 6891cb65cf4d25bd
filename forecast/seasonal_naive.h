// The first engine behind forecaster.h: seasonal naive with empirical quantiles (README.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forecast/candidates.h"
#include "forecast/forecaster.h"
#include "forecast/history.h"
#include "forecast/residual_window.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// No step index beyond it, either way, is taken: 35,000 years of seconds.
inline constexpr int64_t kStepIndexMax = int64_t{1} << 40;

// One owner at a time. Memory, with a longest season of n steps: 8 bytes x (4n + 1024) of history
// and at most 10 x 8 KiB of errors: 150 KiB for a week of 5 minutes, 1.4 MiB at the bound of 40,320
// steps. Update costs the same whatever the history, but where a better candidate takes over: then
// the errors of one lead are computed again (at most 1,024 of them).
class SeasonalNaive final : public Forecaster {
 public:
  explicit SeasonalNaive(const Options& options);

  absl::Status Update(absl::Time step_start, double value) override;
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override;
  TrustVerdict Trust() const override;
  absl::Time LastStep() const override;
  int64_t SampleCount() const override { return history_.count(); }
  std::string Save() const override;
  absl::Status Restore(std::string_view saved) override;

 private:
  // An exponentially weighted mean of absolute errors.
  struct Loss {
    double sum = 0;
    double weight = 0;
    void Add(double error, double decay);
    double Mean() const { return sum / weight; }
  };

  // What is known about forecasts `steps` ahead.
  struct Lead {
    int64_t steps = 0;
    size_t chosen = 0;         // Of candidates_.
    std::vector<Loss> losses;  // By candidate.
    ResidualWindow residuals;  // Of the chosen one.
  };

  void Push(double value);
  void Learn(Lead& lead, int64_t target, double value);
  size_t Best(const Lead& lead) const;
  double Residual(const Lead& lead, int64_t target) const;
  void LearnTrust(const Lead& lead, double value);

  // The lead whose errors stand for forecasts `steps` ahead: the shortest one that is not shorter
  // and has enough of them; `growth` is what they are stretched by where there is none.
  const Lead& LeadFor(int64_t steps, double& growth) const;
  // The point forecast, with a way out where the chosen candidate has nothing to go by.
  double Point(const Lead& lead, double offset, int64_t steps) const;

  // Into a new object only. False: not from Save, or for other options.
  bool Load(SavedReader& reader);
  bool LoadSeries(SavedReader& reader);
  bool LoadLosses(SavedReader& reader);

  Options options_;
  int64_t step_seconds_;
  std::vector<int64_t> seasons_;  // Steps.
  std::vector<Candidate> candidates_;
  History history_;       // Step index: seconds since the Unix epoch / step.
  bool started_ = false;  // Update was called.
  std::optional<double> last_value_;
  std::vector<Lead> leads_;  // Shortest first.
  // At kTrustLead: our own error and the one of the last value carried forward.
  Loss own_;
  Loss carried_;
  std::vector<double> predictions_;  // Scratch of Learn.
};

}  // namespace shadow
