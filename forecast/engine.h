// The engine behind forecaster.h: a mixture of experts, fitted when due (README.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "forecast/fit_schedule.h"
#include "forecast/forecaster.h"
#include "forecast/history.h"
#include "forecast/model.h"
#include "forecast/saved_bytes.h"
#include "forecast/shape.h"
#include "forecast/steps/fine_tail.h"
#include "forecast/wall_clock.h"

namespace shadow {

inline constexpr int64_t kStateBytesMax = 128 * 1024;

// No step index beyond it, either way, is taken: 35,000 years of seconds.
inline constexpr int64_t kStepIndexMax = kSavedStepsMax;

// One owner at a time. Forecast and Trust make the fit that counts, though they are const, where
// nobody has made it before. A model follows from the options, the history and the cell of its fit,
// and the latter from the cells that closed (FitSchedule): so neither a restart nor who makes a
// fit, and when, changes anything. StateBytes() is at most kStateBytesMax.
class Engine final : public Forecaster {
 public:
  explicit Engine(const Options& options);

  // Another that has learned the same, its model included.
  std::unique_ptr<Engine> Clone() const;

  absl::Status Update(absl::Time step_start, double value) override;
  void SetPast(bool past) override { past_ = past; }
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override;
  absl::StatusOr<std::vector<std::vector<double>>> ForecastAt(
      const Reach& reach, const std::vector<double>& quantiles) const override;
  TrustVerdict Trust() const override;
  bool FitDue() const override;
  std::unique_ptr<FitWork> BeginFit() override;
  void FinishFit(std::unique_ptr<FitWork> work) override;
  bool AwaitsFit(absl::Time step) const override;
  absl::Time LastStep() const override;
  int64_t SampleCount() const override;
  std::string Save() const override;

  // Memory of everything that it holds between calls.
  int64_t StateBytes() const;
  absl::Status Restore(std::string_view saved) override;
  std::string SaveFits() const override;
  void RestoreFits(std::string_view saved) override;

 private:
  void PushStep(int64_t index, double value);
  void PushCell(int64_t cell, double value);
  void BeginAnew(int64_t cell);

  // A fit of the schedule, made or not.
  struct MadeFit {
    std::unique_ptr<Model> model;  // Null: not made, or there was too little history.
    bool begun = false;            // By BeginFit.
    bool made = false;
  };

  bool EnoughForFit() const;
  // One or more cells closed.
  void CloseCells();
  // The first one due that is neither made nor begun. Null: none.
  MadeFit* FitToBegin() const;

  // The model that counts, followed up to now. Null: too little history.
  Model* Fitted() const;
  // That of all history, after a past one.
  Model* FittedToAll() const;

  // The leads of the cells that hold the given steps after the last one; never falling.
  std::vector<int> LeadsAt(std::span<const int64_t> ahead) const;

  // Quantiles of those cells, one row a lead.
  std::vector<std::vector<double>> CellRows(std::span<const int> leads,
                                            const std::vector<double>& quantiles) const;

  // Of steps finer than cells.
  std::vector<std::vector<double>> FineRows(std::span<const int64_t> ahead,
                                            const std::vector<double>& quantiles) const;

  // The place (CellPlace) of a time, in steps since 1970.
  double CellsAhead(double index) const;

  int64_t CellOf(int64_t index) const {
    return shape_.Cell(clock_.Seconds(index * shape_.step_seconds));
  }

  // The fit of the history before the cell `end`. Null: none such counts or is due.
  MadeFit* FitEndingAt(int64_t end);

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
  bool past_ = false;
  FitSchedule schedule_;
  // A cache: what follows from the history up to the cells of the schedule.
  mutable MadeFit counting_;
  mutable MadeFit due_;
  mutable std::unique_ptr<Model> of_all_;  // Of FittedToAll, until a cell closes.
  // Shared with the FitWork that was begun: which series that is of. Another one for each series.
  std::shared_ptr<const bool> series_ = std::make_shared<const bool>(true);
};

}  // namespace shadow
