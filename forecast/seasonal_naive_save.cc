// Save and Restore of SeasonalNaive. The bytes, little-endian:
//   u32 magic, u32 version
//   i64 step in seconds, u32 seasons, per season i64 its steps        (must be those of the
//   options) i64 index of the next step, u8 started, u8 a value was seen, f64 the last one u32
//   steps of history, per step f64 (NaN: missing), oldest first per lead: u8 chosen candidate, per
//   candidate f64 sum and f64 weight of its loss f64 sum and f64 weight of our own loss, and of the
//   carried one's u64 checksum
// The windows of errors are not saved: they follow from the history.
#include <cmath>
#include <utility>

#include "forecast/seasonal_naive.h"

namespace shadow {
namespace {

constexpr uint32_t kMagic = 0x464e5353;  // "SSNF"
constexpr uint32_t kVersion = 1;
constexpr size_t kValueBytes = 8;
constexpr double kLossMax = 1e36;  // Sums of values up to 1e30.

bool IsDemand(double value) { return value >= 0 && value <= 1e30; }
bool IsLoss(double value) { return value >= 0 && value <= kLossMax; }

}  // namespace

std::string SeasonalNaive::Save() const {
  SavedWriter writer;
  writer.U32(kMagic);
  writer.U32(kVersion);
  writer.I64(step_seconds_);
  writer.U32(static_cast<uint32_t>(seasons_.size()));
  for (const int64_t season : seasons_) writer.I64(season);
  writer.I64(history_.next());
  writer.U8(started_ ? 1 : 0);
  writer.U8(last_value_.has_value() ? 1 : 0);
  writer.F64(last_value_.value_or(0));
  writer.U32(static_cast<uint32_t>(history_.size()));
  for (int64_t i = history_.next() - history_.size(); i < history_.next(); ++i) {
    writer.F64(history_.At(i));
  }
  const auto save_loss = [&](const Loss& loss) {
    writer.F64(loss.sum);
    writer.F64(loss.weight);
  };
  for (const Lead& lead : leads_) {
    writer.U8(static_cast<uint8_t>(lead.chosen));
    for (const Loss& loss : lead.losses) save_loss(loss);
  }
  save_loss(own_);
  save_loss(carried_);
  return std::move(writer).Finish();
}

bool SeasonalNaive::LoadSeries(SavedReader& reader) {
  if (reader.U32() != kMagic || reader.U32() != kVersion) return false;
  if (reader.I64() != step_seconds_ || reader.U32() != seasons_.size()) return false;
  for (const int64_t season : seasons_) {
    if (reader.I64() != season) return false;
  }
  const int64_t next = reader.I64();
  const uint8_t started = reader.U8();
  const uint8_t seen = reader.U8();
  const double last_value = reader.F64();
  const int64_t size = reader.U32();
  if (!reader.ok() || started > 1 || seen > started || !IsDemand(last_value)) return false;
  if (next < -kStepIndexMax || next > kStepIndexMax) return false;
  if (size > history_.capacity() || static_cast<size_t>(size) > reader.remaining() / kValueBytes) {
    return false;
  }
  if ((started == 1) != (size > 0)) return false;
  history_.Reset(next - size);
  for (int64_t i = 0; i < size; ++i) {
    const double value = reader.F64();
    if (!std::isnan(value) && !IsDemand(value)) return false;
    history_.Push(value);
  }
  started_ = started == 1;
  if (seen == 1) last_value_ = last_value;
  return seen == 1 || history_.count() == 0;
}

bool SeasonalNaive::LoadLosses(SavedReader& reader) {
  const auto load_loss = [&](Loss& loss) {
    loss.sum = reader.F64();
    loss.weight = reader.F64();
    return IsLoss(loss.sum) && IsLoss(loss.weight);
  };
  for (Lead& lead : leads_) {
    lead.chosen = reader.U8();
    if (lead.chosen >= candidates_.size()) return false;
    for (Loss& loss : lead.losses) {
      if (!load_loss(loss)) return false;
    }
  }
  return load_loss(own_) && load_loss(carried_);
}

bool SeasonalNaive::Load(SavedReader& reader) {
  if (!LoadSeries(reader) || !LoadLosses(reader)) return false;
  if (!reader.ok() || reader.remaining() > 0) return false;
  for (Lead& lead : leads_) {
    lead.residuals.Rebuild(history_.next() - 1,
                           [&](int64_t index) { return Residual(lead, index); });
  }
  return true;
}

absl::Status SeasonalNaive::Restore(std::string_view saved) {
  SeasonalNaive loaded(options_);
  SavedReader reader(saved);
  if (!loaded.Load(reader)) {
    return absl::InvalidArgumentError(
        "the saved forecaster is damaged, or of another version, step or other seasons");
  }
  *this = std::move(loaded);
  return absl::OkStatus();
}

}  // namespace shadow
