// Save and Restore of Engine. The bytes, little-endian:
//   u32 magic, u32 version
//   i64 step in seconds, u32 seasons, per season i64 its seconds, u32 cells from fit to fit (these
//   must be those of the options)
//   u8 started, i64 last step index, i64 its cell, i64 steps missing up to it
//   i64 first cell of the history, u32 cells, per cell f32 value or stand-in, u8 per 8 cells:
//   missing the state of FitSchedule the state of FineTail, where there is one u64 checksum
// Models are not part of it: they follow from the history up to the cells of their fits. SaveFits
// saves them apart:
//   u32 magic, u32 version, i64 the history's end, per fit i64 the cell that it ends before,
//   Model::Save; u64 checksum
#include <cmath>
#include <utility>

#include "forecast/engine.h"

namespace shadow {
namespace {

constexpr uint32_t kMagic = 0x464d5353;  // "SSMF"
constexpr uint32_t kVersion = 3;
constexpr uint32_t kFitsMagic = 0x46535353;  // "SSSF"
constexpr uint32_t kFitsVersion = 1;
constexpr int kBitsPerByte = 8;
constexpr float kSavedValueMax = 1.1e30F;

}  // namespace

std::string Engine::Save() const {
  SavedWriter writer;
  writer.U32(kMagic);
  writer.U32(kVersion);
  writer.I64(shape_.step_seconds);
  writer.U32(static_cast<uint32_t>(options_.season_lengths.size()));
  for (const absl::Duration season : options_.season_lengths) {
    writer.I64(absl::ToInt64Seconds(season));
  }
  writer.U32(static_cast<uint32_t>(shape_.refit));
  writer.U8(started_ ? 1 : 0);
  writer.I64(last_step_);
  writer.I64(started_ ? CellOf(last_step_) : 0);
  writer.I64(missing_run_);
  writer.I64(history_.first());
  writer.U32(static_cast<uint32_t>(history_.size()));
  for (const std::span<const float> part : history_.Parts()) writer.All(part);
  for (int64_t t = history_.first(); t < history_.next(); t += kBitsPerByte) {
    uint8_t bits = 0;
    for (int i = 0; i < kBitsPerByte && t + i < history_.next(); ++i) {
      if (history_.Missing(t + i)) bits = static_cast<uint8_t>(bits | (1U << i));
    }
    writer.U8(bits);
  }
  schedule_.Save(writer);
  if (tail_.has_value()) tail_->Save(writer);
  return std::move(writer).Finish();
}

bool Engine::LoadHistory(SavedReader& reader) {
  const int64_t first = reader.I64();
  const int64_t size = reader.U32();
  if (!reader.ok() || size > history_.capacity()) return false;
  if (static_cast<size_t>(size) > reader.remaining() / sizeof(float)) return false;
  std::vector<float> values;
  for (int64_t i = 0; i < size; ++i) {
    values.push_back(reader.F32());
    if (!(values.back() >= 0 && values.back() <= kSavedValueMax)) return false;
  }
  history_.Reset(first);
  uint8_t bits = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (i % kBitsPerByte == 0) bits = reader.U8();
    const float value = values[static_cast<size_t>(i)];
    if (((bits >> (i % kBitsPerByte)) & 1) == 1) {
      history_.PushMissing(value);
    } else {
      history_.Push(value);
    }
  }
  return reader.ok();
}

bool Engine::Load(SavedReader& reader) {
  if (reader.U32() != kMagic || reader.U32() != kVersion) return false;
  if (reader.I64() != shape_.step_seconds) return false;
  if (reader.U32() != options_.season_lengths.size()) return false;
  for (const absl::Duration season : options_.season_lengths) {
    if (reader.I64() != absl::ToInt64Seconds(season)) return false;
  }
  if (reader.U32() != static_cast<uint32_t>(shape_.refit)) return false;
  started_ = reader.U8() != 0;
  last_step_ = reader.I64();
  const int64_t last_cell = reader.I64();
  missing_run_ = reader.I64();
  if (!reader.ok() || last_step_ <= -kStepIndexMax || last_step_ >= kStepIndexMax) return false;
  if (!LoadHistory(reader)) return false;
  if (!schedule_.Load(reader, history_.first(), history_.next())) return false;
  if (tail_.has_value() && !tail_->Load(reader)) return false;
  if (!reader.ok() || reader.remaining() > 0) return false;
  if (history_.size() > 0 && !started_) return false;
  // In another time zone the same steps lie in other cells.
  const int64_t shift = started_ ? CellOf(last_step_) - last_cell : 0;
  if (shift != 0) {
    History moved(history_.capacity());
    moved.Reset(history_.first() + shift);
    for (int64_t t = history_.first(); t < history_.next(); ++t) {
      if (history_.Missing(t)) {
        moved.PushMissing(history_.Filled(t));
      } else {
        moved.Push(history_.Filled(t));
      }
    }
    history_ = std::move(moved);
    schedule_.Shift(shift);
  }
  return true;
}

Engine::MadeFit* Engine::FitEndingAt(int64_t end) {
  if (schedule_.counting() == end) return &counting_;
  return schedule_.due() == end ? &due_ : nullptr;
}

std::string Engine::SaveFits() const {
  SavedWriter writer;
  writer.U32(kFitsMagic);
  writer.U32(kFitsVersion);
  writer.I64(history_.next());
  const auto save = [&](const std::optional<int64_t>& end, const MadeFit& fit) {
    if (!end.has_value() || fit.model == nullptr) return;
    writer.I64(*end);
    fit.model->Save(writer);
  };
  save(schedule_.counting(), counting_);
  save(schedule_.due(), due_);
  return std::move(writer).Finish();
}

void Engine::RestoreFits(std::string_view saved) {
  SavedReader reader(saved);
  if (reader.U32() != kFitsMagic || reader.U32() != kFitsVersion) return;
  if (reader.I64() != history_.next()) return;  // Of other cells, as in another time zone.
  while (reader.ok() && reader.remaining() > 0) {
    const int64_t end = reader.I64();
    MadeFit* fit = reader.ok() ? FitEndingAt(end) : nullptr;
    if (fit == nullptr || fit->made) return;
    fit->model = Model::Load(reader, shape_, history_, end);
    fit->made = fit->model != nullptr;
    if (!fit->made) return;
  }
}

absl::Status Engine::Restore(std::string_view saved) {
  Engine loaded(options_);
  SavedReader reader(saved);
  if (!loaded.Load(reader)) {
    return absl::InvalidArgumentError(
        "the saved forecaster is damaged, or of another version, step, cadence of fits or other "
        "seasons");
  }
  *this = std::move(loaded);
  return absl::OkStatus();
}

}  // namespace shadow
