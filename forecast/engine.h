// The engine behind forecaster.h: a mixture of experts, fitted when due (README.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forecast/fine_tail.h"
#include "forecast/forecaster.h"
#include "forecast/history.h"
#include "forecast/model.h"
#include "forecast/saved_bytes.h"
#include "forecast/shape.h"
#include "forecast/wall_clock.h"

namespace shadow {

inline constexpr int64_t kStateBytesMax = 128 * 1024;

// No step index beyond it, either way, is taken: 35,000 years of seconds.
inline constexpr int64_t kStepIndexMax = kSavedStepsMax;

// A fit that was made and does not count yet: up to the cell `end`.
struct NextFit {
  std::unique_ptr<Model> model;  // Null: too little history.
  int64_t end = 0;
};

// One owner at a time; Forecast and Trust fit when that is due, unless fits are deferred, though
// they are const: at the first call, and then once at every Shape::refit cells. A model follows
// from the options, the history and the cell of the last fit, so a restart changes nothing.
// StateBytes() is at most kStateBytesMax.
class Engine final : public Forecaster {
 public:
  explicit Engine(const Options& options);

  // Another that has learned the same, its model included.
  std::unique_ptr<Engine> Clone() const;

  absl::Status Update(absl::Time step_start, double value) override;
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override;
  TrustVerdict Trust() const override;
  bool FitDue() const override;
  bool Fit() override;
  absl::Time LastStep() const override;
  int64_t SampleCount() const override;
  std::string Save() const override;

  // Memory of everything that it holds between calls.
  int64_t StateBytes() const;
  absl::Status Restore(std::string_view saved) override;

 private:
  void PushStep(int64_t index, double value);
  void PushCell(int64_t cell, double value);

  // The model lost by Restore is to be made again, of the history of then.
  bool FitLost() const;
  // The last cell up to now that fits are due at.
  int64_t DueCell() const;
  // A new one is due.
  bool RefitDue() const;
  void FitNow() const;
  // The new one counts from now on.
  void TakeFit() const;

  // The model as it is now. Null: too little history, or it waits for Fit.
  Model* Fitted() const;

  // Cells ahead of each of the next `steps` steps; never falling.
  std::vector<int> Leads(int steps) const;

  // Quantiles of those cells, one row a lead.
  std::vector<std::vector<double>> CellRows(const std::vector<int>& leads,
                                            const std::vector<double>& quantiles) const;

  int64_t CellOf(int64_t index) const {
    return shape_.Cell(clock_.Seconds(index * shape_.step_seconds));
  }

  // Into a new object only. False: not from Save, or for other options.
  bool Load(SavedReader& reader);
  bool LoadHistory(SavedReader& reader);

  Options options_;
  Shape shape_;
  mutable WallClock clock_;
  History history_;               // By cell of the wall clock; without events.
  std::optional<FineTail> tail_;  // Where a cell is more than a step.
  bool started_ = false;          // Update was called.
  int64_t last_step_ = 0;         // Step index: seconds since the Unix epoch / step.
  int64_t missing_run_ = 0;       // Steps without a value, up to the last.
  // A cache: what follows from the history up to the cell fit_end_.
  mutable std::unique_ptr<Model> model_;
  mutable int64_t fit_end_ = 0;
  mutable bool fit_known_ = false;  // A fit up to fit_end_ was tried, here or before Save.
  mutable bool fit_tried_ = false;  // The same, here.
  // What comes next, if it was made.
  mutable std::optional<NextFit> next_fit_;
};

}  // namespace shadow
