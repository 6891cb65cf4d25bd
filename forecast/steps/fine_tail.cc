#include "forecast/steps/fine_tail.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "forecast/experts/young.h"

namespace shadow {
namespace {

constexpr double kHalfLifePart = 16;  // Of a cell.
constexpr size_t kDifferences = 256;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The noise of a step by its neighbours, so that no ramp is taken for noise. The difference of
// independent steps has 3/2 their variance. Source: T. Gasser, L. Sroka and C. Jennen-Steinmetz,
// Residual Variance and Residual Pattern in Nonlinear Regression, Biometrika 73 (1986). Worked: 1,
// 4, 1 give 3 sqrt(2/3) = 2.449.
double NoiseOf(double before, double value, double after) {
  return (value - (before + after) / 2) * std::sqrt(2.0 / 3.0);
}

}  // namespace

FineTail::FineTail(double cell_steps)
    : cell_steps_(cell_steps),
      gain_(1 - std::exp2(-1 / std::max(1.0, cell_steps / kHalfLifePart))),
      last_(kNone),
      before_last_(kNone) {}

std::optional<FineTail::Closed> FineTail::Push(int64_t cell, double value) {
  std::optional<Closed> closed;
  if (Closes(cell)) {
    closed = {.cell = cell_, .mean = count_ > 0 ? sum_ / static_cast<double>(count_) : kNone};
  }
  if (!open_ || cell > cell_) {
    open_ = true;
    cell_ = cell;
    sum_ = 0;
    count_ = 0;
  }
  const double difference = NoiseOf(before_last_, last_, value);
  before_last_ = std::exchange(last_, value);
  if (std::isnan(value)) return closed;
  sum_ += value;
  ++count_;
  if (!std::isnan(difference)) Add(static_cast<float>(difference));
  level_ = seen_ ? level_ + gain_ * (value - level_) : value;
  seen_ = true;
  return closed;
}

void FineTail::Add(float difference) {
  if (differences_.size() < kDifferences) {
    differences_.push_back(difference);
  } else {
    float& oldest = differences_[static_cast<size_t>(next_) % kDifferences];
    sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), oldest));
    oldest = difference;
  }
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), difference), difference);
  ++next_;
}

void FineTail::Refine(const Path& path, std::span<const double> quantiles,
                      std::vector<std::vector<double>>& rows) const {
  std::vector<double> quick;
  quick.reserve(quantiles.size());
  const double middle = OrderStatistic(sorted_, 0.5);
  for (const double quantile : quantiles) {
    quick.push_back(OrderStatistic(sorted_, quantile) - middle);
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    const double median = path.medians[row];
    const double known = std::exp2(-static_cast<double>(path.ahead[row]) / cell_steps_);
    const double center = median + known * (level_ - path.level_median);
    const double rest = std::sqrt(1 - known * known);
    for (size_t i = 0; i < quantiles.size(); ++i) {
      const double slow = (rows[row][i] - median) * rest;
      const double away = std::sqrt(slow * slow + quick[i] * quick[i]);
      rows[row][i] = std::max(0.0, center + (quantiles[i] < 0.5 ? -away : away));
    }
  }
}

void FineTail::Save(SavedWriter& writer) const {
  writer.U8(open_ ? 1 : 0);
  writer.I64(cell_);
  writer.F64(sum_);
  writer.I64(count_);
  writer.U8(seen_ ? 1 : 0);
  writer.F64(level_);
  writer.F64(last_);
  writer.F64(before_last_);
  writer.I64(next_);
  writer.U32(static_cast<uint32_t>(differences_.size()));
  for (const float difference : differences_) writer.F32(difference);
}

bool FineTail::Load(SavedReader& reader) {
  open_ = reader.U8() != 0;
  cell_ = reader.I64();
  sum_ = reader.F64();
  count_ = reader.I64();
  seen_ = reader.U8() != 0;
  level_ = reader.F64();
  last_ = reader.F64();
  before_last_ = reader.F64();
  next_ = reader.I64();
  const size_t size = reader.U32();
  if (!reader.ok() || size > kDifferences || next_ < 0 || count_ < 0) return false;
  if (!std::isfinite(sum_) || !std::isfinite(level_)) return false;
  if (std::isinf(last_) || std::isinf(before_last_)) return false;
  differences_.clear();
  for (size_t i = 0; i < size; ++i) {
    differences_.push_back(reader.F32());
    if (!std::isfinite(differences_.back())) return false;
  }
  sorted_ = differences_;
  std::sort(sorted_.begin(), sorted_.end());
  return reader.ok();
}

}  // namespace shadow
