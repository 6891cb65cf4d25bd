#include "forecast/fine_tail.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "forecast/experts/young.h"

namespace shadow {
namespace {

constexpr double kHalfLifePart = 16;  // Of a cell.
constexpr size_t kDifferences = 256;

}  // namespace

FineTail::FineTail(double cell_steps)
    : cell_steps_(cell_steps),
      gain_(1 - std::exp2(-1 / std::max(1.0, cell_steps / kHalfLifePart))) {}

std::optional<FineTail::Closed> FineTail::Push(int64_t cell, double value) {
  std::optional<Closed> closed;
  if (Closes(cell)) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    closed = {.cell = cell_, .mean = count_ > 0 ? sum_ / static_cast<double>(count_) : none};
  }
  if (!open_ || cell > cell_) {
    open_ = true;
    cell_ = cell;
    sum_ = 0;
    count_ = 0;
  }
  if (std::isnan(value)) return closed;
  sum_ += value;
  ++count_;
  if (seen_) {
    const auto difference = static_cast<float>(value - level_);
    if (differences_.size() < kDifferences) {
      differences_.push_back(difference);
    } else {
      differences_[static_cast<size_t>(next_) % kDifferences] = difference;
    }
    ++next_;
  }
  level_ = seen_ ? level_ + gain_ * (value - level_) : value;
  seen_ = true;
  return closed;
}

void FineTail::Refine(std::span<const double> medians, std::span<const double> quantiles,
                      std::vector<std::vector<double>>& rows) const {
  std::vector<float> sorted = differences_;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> quick;
  for (const double quantile : quantiles) {
    quick.push_back(OrderStatistic(sorted, quantile) - OrderStatistic(sorted, 0.5));
  }
  for (size_t step = 0; step < rows.size(); ++step) {
    const double known = std::exp2(-static_cast<double>(step + 1) / cell_steps_);
    const double center = medians[step] + known * (level_ - medians.front());
    const double rest = std::sqrt(1 - known * known);
    double before = 0;
    for (size_t i = 0; i < quantiles.size(); ++i) {
      const double slow = (rows[step][i] - medians[step]) * rest;
      const double away = std::hypot(slow, quick[i]);
      before = rows[step][i] = std::max(before, center + (quantiles[i] < 0.5 ? -away : away));
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
  next_ = reader.I64();
  const size_t size = reader.U32();
  if (!reader.ok() || size > kDifferences || next_ < 0 || count_ < 0) return false;
  if (!std::isfinite(sum_) || !std::isfinite(level_)) return false;
  differences_.clear();
  for (size_t i = 0; i < size; ++i) {
    differences_.push_back(reader.F32());
    if (!std::isfinite(differences_.back())) return false;
  }
  return reader.ok();
}

}  // namespace shadow
