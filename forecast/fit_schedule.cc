#include "forecast/fit_schedule.h"

#include "forecast/series.h"

namespace shadow {
namespace {

void SaveCell(SavedWriter& writer, const std::optional<int64_t>& cell) {
  writer.U8(cell.has_value() ? 1 : 0);
  writer.I64(cell.value_or(0));
}

std::optional<int64_t> LoadCell(SavedReader& reader) {
  const bool known = reader.U8() != 0;
  const int64_t cell = reader.I64();
  return known ? std::optional(cell) : std::nullopt;
}

}  // namespace

void FitSchedule::Close(int64_t next, bool enough, bool past) {
  if (due_.has_value()) counting_ = due_;
  due_.reset();
  if (counting_.has_value() && next - *counting_ > options_.age_max) {
    counting_ = enough ? std::optional(next) : std::nullopt;
  }
  const bool past_ends = !past && past_ != Past::kNone;
  past_ = past ? Past::kAll : Past::kNone;
  const auto turn = [&, refit = past ? options_.past_refit : options_.refit](int64_t cell) {
    return FloorDivide(cell - options_.phase, refit);
  };
  const bool in_turn = !counting_.has_value() || turn(next) > turn(*counting_);
  if (enough && counting_ != next && (in_turn || past_ends)) due_ = next;
}

void FitSchedule::Shift(int64_t cells) {
  if (counting_.has_value()) *counting_ += cells;
  if (due_.has_value()) *due_ += cells;
}

void FitSchedule::Save(SavedWriter& writer) const {
  SaveCell(writer, counting_);
  SaveCell(writer, due_);
  writer.U8(static_cast<uint8_t>(past_));
}

bool FitSchedule::Load(SavedReader& reader, int64_t first, int64_t next) {
  counting_ = LoadCell(reader);
  due_ = LoadCell(reader);
  const uint8_t past = reader.U8();
  past_ = static_cast<Past>(past);
  const auto held = [&](const std::optional<int64_t>& cell) {
    return !cell.has_value() || (*cell > first && *cell <= next);
  };
  return reader.ok() && past <= static_cast<uint8_t>(Past::kUpToOpenCell) && held(counting_) &&
         held(due_);
}

}  // namespace shadow
