#include "server/core/capacity/pool_capacity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

// A need above what one step in so many exceeds is a burst.
constexpr float kOutOfBand = 1e-5F;
constexpr uint32_t kPoolSaveVersion = 2;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool IsCell(int64_t cell) { return cell >= -kSavedStepsMax && cell <= kSavedStepsMax; }

absl::Duration CellLength(const PoolCapacity::Options& options) {
  const int64_t steps = options.day / options.step;
  const int64_t most = PoolCapacity::kDayCellsMost;
  return options.step * std::max<int64_t>(1, (steps + most - 1) / most);
}

}  // namespace

PoolCapacity::PoolCapacity(const Options& options, absl::Duration lead)
    : options_(options),
      cell_length_(CellLength(options)),
      lead_cells_(CellsOf(lead)),
      below_(std::min(kBelowMost, NeedOf(options.base_capacity / options.instance_capacity))) {}

int64_t PoolCapacity::CellOf(absl::Time time) const {
  return absl::Floor(time - absl::UnixEpoch(), cell_length_) / cell_length_;
}

absl::Time PoolCapacity::CellStart(int64_t cell) const {
  return absl::UnixEpoch() + cell * cell_length_;
}

size_t PoolCapacity::SlotOf(int64_t cell) const {
  return static_cast<size_t>((cell % kRememberedCells + kRememberedCells) % kRememberedCells);
}

int PoolCapacity::CellsOf(absl::Duration lead) const {
  const int64_t cells = absl::Ceil(lead, cell_length_) / cell_length_;
  return static_cast<int>(std::clamp<int64_t>(cells, 1, CapacityPlanner::kLeadStepsMax));
}

double PoolCapacity::LoadOf(double demand) const {
  const double beyond = (demand - options_.base_capacity) / options_.instance_capacity;
  return std::max(0.0, beyond + below_);
}

void PoolCapacity::Observe(absl::Time step_start, double demand, const Forecaster& forecaster) {
  const int64_t cell = CellOf(step_start);
  if (open_demand_.has_value() && cell != open_cell_) Close(forecaster);
  open_cell_ = cell;
  open_demand_ = std::max(open_demand_.value_or(demand), demand);
  if (step_start + options_.step >= CellStart(cell + 1)) Close(forecaster);
}

void PoolCapacity::Close(const Forecaster& forecaster) {
  const int64_t cell = open_cell_;
  const double demand = *std::exchange(open_demand_, std::nullopt);
  if (remembered_begin_ < remembered_end_ && cell < remembered_end_) return;  // It had ended.
  Remember(cell, demand);
  if (planner_ == nullptr) planner_ = MakePlanner();
  const Forecasts forecasts = ReadForecast(cell + 1, forecaster);
  Replan(cell, demand, {.median = forecasts.median, .high = forecasts.high});
}

void PoolCapacity::Remember(int64_t cell, double demand) {
  if (remembered_.empty()) remembered_.resize(kRememberedCells);
  const bool gap = remembered_begin_ == remembered_end_ ||
                   cell - remembered_end_ >= static_cast<int64_t>(kRememberedCells);
  if (gap) remembered_begin_ = remembered_end_ = cell;
  for (; remembered_end_ < cell; ++remembered_end_) {
    remembered_[SlotOf(remembered_end_)] = static_cast<float>(kUnknown);
  }
  remembered_[SlotOf(cell)] = static_cast<float>(demand);
  remembered_end_ = cell + 1;
  remembered_begin_ = std::max<int64_t>(remembered_begin_, remembered_end_ - kRememberedCells);
}

std::unique_ptr<CapacityPlanner> PoolCapacity::MakePlanner() const {
  return std::make_unique<CapacityPlanner>(CapacityPlanner::Options{.step = cell_length_,
                                                                    .day = options_.day,
                                                                    .lead_steps = lead_cells_,
                                                                    .targets = {options_.target}});
}

void PoolCapacity::Start() {
  if (started()) return;
  if (planner_ == nullptr) planner_ = MakePlanner();
  started_ = true;
  planner_->Start();
  burst_need_ = 0;  // History's are over.
  SetPlan();
  plan_.burst.reset();
}

bool PoolCapacity::SetLead(absl::Duration lead) {
  const int cells = CellsOf(lead);
  const bool near = cells <= lead_cells_ && 2 * cells > lead_cells_;
  if (cells == lead_cells_ || (started() && near)) return false;
  lead_cells_ = cells;
  if (planner_ != nullptr) BeginAgain();
  return started();
}

void PoolCapacity::BeginAgain() {
  planner_ = MakePlanner();
  plan_ = {};
  band_high_ = -1;
  burst_need_ = 0;
  for (int64_t cell = remembered_begin_; cell < remembered_end_; ++cell) {
    Replan(cell, remembered_[SlotOf(cell)], {});
  }
  if (started()) planner_->Start();
}

PoolCapacity::Forecasts PoolCapacity::ReadForecast(int64_t next,
                                                   const Forecaster& forecaster) const {
  const int64_t cells = lead_cells_ + 1;
  const int64_t steps = std::min<int64_t>(kForecastRowsMax, cells * (cell_length_ / options_.step));
  const auto rows = forecaster.Forecast(static_cast<int>(steps), {0.5, kHighQuantile});
  if (!rows.ok()) return {};
  const std::vector<double> unknown(static_cast<size_t>(cells), kUnknown);
  Forecasts forecasts = {.median = unknown, .high = unknown};
  absl::Time time = forecaster.LastStep();
  for (const std::vector<double>& row : *rows) {
    time += options_.step;
    const int64_t ahead = CellOf(time) - next;
    if (ahead < 0 || ahead >= cells) continue;
    const auto at = static_cast<size_t>(ahead);
    forecasts.median[at] = std::fmax(forecasts.median[at], LoadOf(row[0]));
    forecasts.high[at] = std::fmax(forecasts.high[at], LoadOf(row[1]));
  }
  return forecasts;
}

void PoolCapacity::Replan(int64_t cell, double demand, const LoadForecast& forecast) {
  const bool known = !std::isnan(demand);
  if (known) NoteBurst(cell, NeedOf(LoadOf(demand)));
  // A burst is not part of it: what is rare should not teach the plan what is cheap.
  const int least = known ? std::max(below_, NeedOf(LoadOf(demand * options_.headroom))) : below_;
  const auto load = known ? std::optional(LoadOf(demand)) : std::nullopt;
  if (!planner_->Observe(CellStart(cell), load, forecast, least).ok()) return;  // They ascend.
  band_high_ = BandHigh();
  if (!started()) return;
  SetBurst(cell);
  SetPlan();
}

void PoolCapacity::SetPlan() {
  plan_.why = planner_->Choice(0);
  plan_.why.want = std::max(0, plan_.why.want - below_);
  plan_.instances = plan_.why.predicted ? std::optional(plan_.why.want) : std::nullopt;
}

void PoolCapacity::SetBurst(int64_t cell) {
  plan_.burst.reset();
  if (burst_need_ > below_ && cell < burst_until_) plan_.burst = burst_need_ - below_;
}

void PoolCapacity::NoteBurst(int64_t cell, int need) {
  if (band_high_ >= 0 && need > band_high_) {
    burst_need_ = std::min(need + std::max(0, need - last_need_), kNeedMax);
    burst_until_ = cell + lead_cells_;
  }
  last_need_ = need;
}

int PoolCapacity::BandHigh() const {
  if (!planner_->need().ready()) return -1;
  float beyond = 1;
  const std::span<const float> mass = planner_->need().Mass(0);
  for (size_t at = 0; at < mass.size(); ++at) {
    beyond -= mass[at];
    if (beyond <= kOutOfBand) return NeedScale::Highest(static_cast<int>(at));
  }
  return -1;
}

std::vector<double> PoolCapacity::Worth(int instances) const {
  if (planner_ == nullptr || !planner_->need().ready()) return {};
  const std::span<const float> mass = planner_->need().Mass(planner_->need().horizons().size() - 1);
  std::vector<double> worth(static_cast<size_t>(std::max(0, instances)));
  double beyond = 1;
  int cell = -1;
  for (int have = 0; have < instances; ++have) {
    const int holds = NeedScale::CellOf(have + below_);
    for (; cell < holds && cell + 1 < static_cast<int>(mass.size()); ++cell) {
      beyond -= static_cast<double>(mass[static_cast<size_t>(cell) + 1]);
    }
    worth[static_cast<size_t>(have)] = std::max(0.0, beyond);
  }
  return worth;
}

size_t PoolCapacity::StateBytes() const {
  return sizeof(*this) + remembered_.capacity() * sizeof(float) +
         (planner_ != nullptr ? planner_->StateBytes() : 0);
}

std::string PoolCapacity::Save() const {
  SavedWriter writer;
  writer.U32(kPoolSaveVersion);
  writer.I64(absl::ToInt64Nanoseconds(options_.step));
  writer.I64(absl::ToInt64Nanoseconds(options_.day));
  writer.F64(options_.base_capacity);
  writer.F64(options_.instance_capacity);
  writer.F64(options_.headroom);
  writer.F64(options_.target.service_level);
  writer.F64(options_.target.idle_cost);
  writer.F64(options_.target.shortage_cost);
  writer.U32(static_cast<uint32_t>(lead_cells_));
  writer.I64(remembered_begin_);
  writer.I64(remembered_end_);
  for (int64_t cell = remembered_begin_; cell < remembered_end_;) {  // As far as the ring's end.
    const size_t slot = SlotOf(cell);
    const auto left = static_cast<size_t>(remembered_end_ - cell);
    const size_t count = std::min(left, remembered_.size() - slot);
    writer.All<float>(std::span(remembered_).subspan(slot, count));
    cell += static_cast<int64_t>(count);
  }
  writer.I64(open_cell_);
  writer.U8(open_demand_.has_value() ? 1 : 0);
  writer.F64(open_demand_.value_or(0));
  writer.I64(last_need_);
  writer.I64(band_high_);
  writer.I64(burst_need_);
  writer.I64(burst_until_);
  writer.U8(started_ ? 1 : 0);
  writer.Bytes(planner_ != nullptr ? planner_->Save() : "");
  return std::move(writer).Finish();
}

bool PoolCapacity::Read(SavedReader& reader) {
  if (reader.U32() != kPoolSaveVersion) return false;
  if (reader.I64() != absl::ToInt64Nanoseconds(options_.step)) return false;
  if (reader.I64() != absl::ToInt64Nanoseconds(options_.day)) return false;
  bool same = reader.F64() == options_.base_capacity;
  same = reader.F64() == options_.instance_capacity && same;
  same = reader.F64() == options_.headroom && same;
  same = reader.F64() == options_.target.service_level && same;
  same = reader.F64() == options_.target.idle_cost && same;
  same = reader.F64() == options_.target.shortage_cost && same;
  const auto lead = static_cast<int64_t>(reader.U32());
  if (lead < 1 || lead > CapacityPlanner::kLeadStepsMax) return false;
  const int own_lead = lead_cells_;
  if (same) lead_cells_ = static_cast<int>(lead);
  remembered_begin_ = reader.I64();
  remembered_end_ = reader.I64();
  if (!IsCell(remembered_begin_) || !IsCell(remembered_end_)) return false;
  const int64_t count = remembered_end_ - remembered_begin_;
  if (count < 0 || count > kRememberedCells) return false;
  remembered_.resize(kRememberedCells);
  for (int64_t cell = remembered_begin_; cell < remembered_end_; ++cell) {
    remembered_[SlotOf(cell)] = reader.F32();
  }
  open_cell_ = reader.I64();
  const bool open = reader.U8() != 0;
  const double demand = reader.F64();
  if (open) open_demand_ = demand;
  if (!IsCell(open_cell_)) return false;
  last_need_ = static_cast<int>(std::clamp<int64_t>(reader.I64(), 0, kNeedMax));
  band_high_ = static_cast<int>(std::clamp<int64_t>(reader.I64(), -1, kNeedMax));
  burst_need_ = static_cast<int>(std::clamp<int64_t>(reader.I64(), 0, kNeedMax));
  burst_until_ = reader.I64();
  started_ = reader.U8() != 0;
  return ReadPlanner(reader, same, own_lead);
}

bool PoolCapacity::ReadPlanner(SavedReader& reader, bool same, int own_lead) {
  const std::string_view planner = reader.Bytes();
  if (!reader.ok() || reader.remaining() != 0) return false;
  if (!started_ && own_lead != lead_cells_) {
    lead_cells_ = own_lead;  // The present one: nothing was planned by another.
    same = false;
  }
  if (planner.empty()) return true;
  planner_ = MakePlanner();
  const absl::Time last = CellStart(remembered_end_ - 1);
  // The latter two: of another version.
  if (!same || !planner_->Restore(planner).ok() || planner_->last_step() != last) {
    BeginAgain();
  } else if (started()) {
    SetPlan();
    SetBurst(remembered_end_ - 1);
  }
  return true;
}

absl::Status PoolCapacity::Restore(std::string_view saved) {
  SavedReader reader(saved);
  PoolCapacity restored(options_, cell_length_ * lead_cells_);
  if (!restored.Read(reader)) {
    return absl::InvalidArgumentError(
        "these bytes are not the saved capacity of a pool on this grid");
  }
  *this = std::move(restored);
  return absl::OkStatus();
}

}  // namespace shadow
