// What a forecaster and a plan of capacity have saved: any bytes behind a checksum that fits.
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "forecast/forecaster.h"
#include "forecast/saved_bytes.h"
#include "server/core/capacity/pool_capacity.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

constexpr int64_t kDays = 3;
constexpr int64_t kStepsPerDay = 24;
constexpr size_t kChecksumBytes = 4;

absl::Time StepTime(int64_t step) { return absl::UnixEpoch() + step * absl::Hours(1); }

double DemandOf(int64_t step) { return 100 + 60 * std::sin(static_cast<double>(step) / 4); }

std::unique_ptr<Forecaster> NewForecaster() {
  return MakeForecaster({.step = absl::Hours(1), .season_lengths = {absl::Hours(24)}});
}

PoolCapacity NewPlan() {
  return PoolCapacity({.step = absl::Hours(1),
                       .day = absl::Hours(24),
                       .base_capacity = 50,
                       .instance_capacity = 10,
                       .target = {.service_level = 0.99}},
                      absl::Hours(1));
}

struct Saved {
  std::string forecaster;
  std::string plan;
};

Saved Learned() {
  const auto forecaster = NewForecaster();
  PoolCapacity plan = NewPlan();
  for (int64_t step = 0; step < kDays * kStepsPerDay; ++step) {
    if (!forecaster->Update(StepTime(step), DemandOf(step)).ok()) abort();
    plan.Observe(StepTime(step), DemandOf(step), *forecaster);
  }
  plan.Start();
  return {.forecaster = forecaster->Save(), .plan = plan.Save()};
}

std::string WithChecksum(std::string_view body) {
  SavedWriter writer;
  for (const char byte : body) writer.U8(static_cast<uint8_t>(byte));
  return std::move(writer).Finish();
}

// `edits`: three bytes that say where (by 16 bits, in turn over the whole), and one to put there.
std::string Edited(std::string saved, std::string_view edits) {
  saved.resize(saved.size() - kChecksumBytes);
  size_t at = 0;
  for (; edits.size() >= 3; edits.remove_prefix(3)) {
    at += static_cast<uint8_t>(edits[0]) * size_t{256} + static_cast<uint8_t>(edits[1]);
    saved[at % saved.size()] = edits[2];
  }
  return WithChecksum(saved);
}

void GoOn(const std::string& state) {
  const auto forecaster = NewForecaster();
  if (!forecaster->Restore(state).ok()) return;
  const absl::Time next = std::max(forecaster->LastStep(), StepTime(0)) + absl::Hours(1);
  forecaster->Update(next, 100).IgnoreError();
  const auto rows = forecaster->Forecast(48, {0.05, 0.5, 0.95});
  if (!rows.ok()) return;
  for (const auto& row : *rows) {
    for (const double value : row) {
      if (!std::isfinite(value) || value < 0) abort();
    }
  }
  if (forecaster->Save().empty()) abort();
}

void GoOnPlanning(const std::string& state) {
  PoolCapacity plan = NewPlan();
  if (!plan.Restore(state).ok()) return;
  const auto forecaster = NewForecaster();
  for (int64_t step = kDays * kStepsPerDay; step < kDays * kStepsPerDay + 3; ++step) {
    if (!forecaster->Update(StepTime(step), DemandOf(step)).ok()) abort();
    plan.Observe(StepTime(step), DemandOf(step), *forecaster);
  }
  const auto instances = plan.plan().instances;
  if (instances && *instances < 0) abort();
  if (plan.Save().empty()) abort();
}

}  // namespace

// The first byte: whose state, and whether the rest is it or edits of a true one.
void Fuzz(std::string_view bytes) {
  static const Saved kSaved = Learned();
  if (bytes.empty()) return;
  const int kind = bytes.front() & 3;
  bytes.remove_prefix(1);
  switch (kind) {
    case 0:
      return GoOn(WithChecksum(bytes));
    case 1:
      return GoOn(Edited(kSaved.forecaster, bytes));
    case 2:
      return GoOnPlanning(WithChecksum(bytes));
    default:
      return GoOnPlanning(Edited(kSaved.plan, bytes));
  }
}

}  // namespace shadow
