#include "server/core/capacity/service_level.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr double kMissesHalfLifeDays = 30;
// Of the allowed miss rate, up from savings and down when overdrawn.
constexpr double kFactorUp = 2;
constexpr double kFactorDown = 3;
constexpr double kRoomSteps = 400;
constexpr double kRoomMin = 40;
constexpr double kOverdrawnSteps = 600;
constexpr double kOverdrawnMin = 12;

}  // namespace

ServiceLevel::ServiceLevel(double level, int day_steps)
    : level_(level), fade_(std::exp2(-1 / (kMissesHalfLifeDays * day_steps))) {}

void ServiceLevel::Count(bool missed) {
  if (started_) budget_ = budget_ * fade_ + (1 - level_) - (missed ? 1 : 0);
}

double ServiceLevel::AllowedMissRate() const {
  const double share = 1 - level_;
  const double room = budget_ < 0 ? std::max(kOverdrawnSteps * share, kOverdrawnMin)
                                  : std::max(kRoomSteps * share, kRoomMin - kRoomSteps * share);
  return share * std::clamp(std::exp(budget_ / room), 1 / kFactorDown, kFactorUp);
}

size_t ServiceLevel::Choose(const PolicyBank& bank, size_t policies) const {
  const double allowed = AllowedMissRate();
  size_t policy = 0;
  while (policy + 1 < policies && bank.MissRate(policy) > allowed) ++policy;
  return policy;
}

void ServiceLevel::Save(SavedWriter& writer) const {
  writer.F64(budget_);
  writer.U8(started_ ? 1 : 0);
}

bool ServiceLevel::Restore(SavedReader& reader) {
  budget_ = reader.F64();
  started_ = reader.U8() != 0;
  return std::isfinite(budget_) && reader.ok();
}

}  // namespace shadow
