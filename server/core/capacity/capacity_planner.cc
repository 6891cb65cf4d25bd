#include "server/core/capacity/capacity_planner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

// A service level's prices. Of a miss: 2^-1, 2^-0.5, ... 2^18 instance-steps.
constexpr int kPenalties = 39;
constexpr double kFirstPenaltyLog2 = -1;
constexpr double kPenaltyStepLog2 = 0.5;
constexpr double kShortagePrice = 3;  // Above the price of a launch, or a low need is never met.

constexpr uint32_t kSaveVersion = 6;

// Launching costs `lead_steps` of idle; half of that, and no more than one, was measured to be
// right, because what is launched mostly stays wanted for longer.
double LaunchPrice(int lead_steps) { return std::min(1.0, lead_steps / 2.0); }

int DaySteps(const CapacityPlanner::Options& options) {
  return std::max(1, static_cast<int>(options.day / options.step));
}

std::vector<CapacityPrices> PricesFor(const CapacityPlanner::Options& options) {
  const double launch = LaunchPrice(options.lead_steps);
  std::vector<CapacityPrices> prices;
  for (int i = 0; i < kPenalties; ++i) {
    const double miss = std::exp2(kFirstPenaltyLog2 + i * kPenaltyStepLog2);
    prices.push_back({.shortage = kShortagePrice, .miss = miss, .launch = launch});
  }
  for (const CapacityTarget& target : options.targets) {
    if (target.service_level > 0) continue;
    const double shortage = target.shortage_cost / target.idle_cost;
    prices.push_back({.shortage = shortage, .miss = 0, .launch = std::min(launch, shortage / 2)});
  }
  return prices;
}

}  // namespace

CapacityPlanner::Target::Target(double service_level, const Options& options, size_t by_costs)
    : level(service_level, DaySteps(options)),
      has_level(service_level > 0),
      policy(by_costs),
      window(options.lead_steps) {}

CapacityPlanner::CapacityPlanner(const Options& options)
    : options_(options),
      need_({.lead_steps = options.lead_steps, .day_steps = DaySteps(options)}),
      bank_({.lead_steps = options.lead_steps,
             .day_steps = DaySteps(options),
             .prices = PricesFor(options)}) {
  size_t by_costs = kPenalties;
  for (const CapacityTarget& target : options.targets) {
    targets_.emplace_back(target.service_level, options, by_costs);
    if (target.service_level <= 0) ++by_costs;
  }
}

absl::Status CapacityPlanner::Observe(absl::Time step_start, std::optional<double> load,
                                      const LoadForecast& forecast, int least) {
  if ((step_start - absl::UnixEpoch()) % options_.step != absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()), " is not a multiple of ",
                     absl::FormatDuration(options_.step)));
  }
  if (load.has_value() && !(*load >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(*load, " is not a load; at least 0 is"));
  }
  if (step_start <= last_step_) {
    return absl::OutOfRangeError(absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()),
                                              " is not after the last step, ",
                                              absl::FormatTime(last_step_, absl::UTCTimeZone())));
  }
  if (last_step_ != absl::InfinitePast()) {
    // Of a longer outage whole days are left out: yesterday stays at the same time of day.
    const int64_t day = DaySteps(options_);
    const int64_t skipped = (step_start - last_step_) / options_.step - 1;
    const int64_t steps = skipped <= day ? skipped : day + skipped % day;
    for (int64_t i = 0; i < steps; ++i) Skip();
  }
  last_step_ = step_start;
  const std::optional<int> need = load.has_value() ? std::optional(NeedOf(*load)) : std::nullopt;
  bank_.Score(need);
  for (Target& target : targets_) {
    if (need.has_value() && target.has_level) target.level.Count(*need > target.window.ready());
  }
  need_.Observe(load, forecast);
  bank_.Decide(need_, least, need.has_value());
  Choose(need.has_value());
  return absl::OkStatus();
}

void CapacityPlanner::Skip() {
  need_.Skip();
  bank_.Hold();
  for (Target& target : targets_) target.window.Push(target.window.want());
}

void CapacityPlanner::Choose(bool known) {
  for (Target& target : targets_) {
    const size_t policy =
        target.has_level ? target.level.Choose(bank_, kPenalties) : bank_.Cheapest(target.policy);
    const int least = known ? 0 : target.choice.want;
    target.choice = {.want = std::max(bank_.Want(policy), least),
                     .predicted = need_.ready(),
                     .miss_price = bank_.prices(policy).miss,
                     .miss_rate = bank_.MissRate(policy),
                     .budget = target.level.budget()};
    target.window.Push(target.choice.want);
  }
}

void CapacityPlanner::Start() {
  for (Target& target : targets_) target.level.Start();
}

size_t CapacityPlanner::StateBytes() const {
  size_t bytes = sizeof(*this) - sizeof(need_) - sizeof(bank_);
  bytes += need_.StateBytes() + bank_.StateBytes();
  bytes += options_.targets.size() * sizeof(CapacityTarget);
  for (const Target& target : targets_) {
    bytes += sizeof(target) - sizeof(target.window) + target.window.StateBytes();
  }
  return bytes;
}

std::string CapacityPlanner::Save() const {
  SavedWriter writer;
  writer.U32(kSaveVersion);
  writer.I64(absl::ToInt64Nanoseconds(options_.step));
  writer.I64(absl::ToInt64Nanoseconds(options_.day));
  writer.U32(static_cast<uint32_t>(options_.lead_steps));
  writer.U32(static_cast<uint32_t>(targets_.size()));
  for (const CapacityTarget& target : options_.targets) {
    writer.F64(target.service_level);
    writer.F64(target.idle_cost);
    writer.F64(target.shortage_cost);
  }
  const bool empty = last_step_ == absl::InfinitePast();
  writer.U8(empty ? 0 : 1);
  writer.I64(empty ? 0 : absl::ToUnixNanos(last_step_));
  need_.Save(writer);
  bank_.Save(writer);
  for (const Target& target : targets_) {
    target.level.Save(writer);
    target.window.Save(writer);
    writer.U8(target.choice.predicted ? 1 : 0);
    writer.F64(target.choice.miss_price);
    writer.F64(target.choice.miss_rate);
    writer.F64(target.choice.budget);
  }
  return std::move(writer).Finish();
}

bool CapacityPlanner::Read(SavedReader& reader) {
  if (reader.U32() != kSaveVersion) return false;
  if (reader.I64() != absl::ToInt64Nanoseconds(options_.step)) return false;
  if (reader.I64() != absl::ToInt64Nanoseconds(options_.day)) return false;
  if (reader.U32() != static_cast<uint32_t>(options_.lead_steps)) return false;
  if (reader.U32() != targets_.size()) return false;
  for (const CapacityTarget& target : options_.targets) {
    bool same = reader.F64() == target.service_level;
    same = reader.F64() == target.idle_cost && same;
    same = reader.F64() == target.shortage_cost && same;
    if (!same) return false;
  }
  const bool empty = reader.U8() == 0;
  const absl::Time last = absl::FromUnixNanos(reader.I64());
  if ((last - absl::UnixEpoch()) % options_.step != absl::ZeroDuration()) return false;
  last_step_ = empty ? absl::InfinitePast() : last;
  if (!need_.Restore(reader) || !bank_.Restore(reader)) return false;
  for (Target& target : targets_) {
    if (!target.level.Restore(reader) || !target.window.Restore(reader)) return false;
    target.choice.want = target.window.want();
    target.choice.predicted = reader.U8() != 0;
    target.choice.miss_price = reader.F64();
    target.choice.miss_rate = reader.F64();
    target.choice.budget = reader.F64();
  }
  return reader.ok() && reader.remaining() == 0;
}

absl::Status CapacityPlanner::Restore(std::string_view saved) {
  SavedReader reader(saved);
  CapacityPlanner restored(options_);
  if (!restored.Read(reader)) {
    return absl::InvalidArgumentError(
        "these bytes are not a saved capacity planner of these options");
  }
  *this = std::move(restored);
  return absl::OkStatus();
}

}  // namespace shadow
