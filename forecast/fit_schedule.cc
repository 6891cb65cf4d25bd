#include "forecast/fit_schedule.h"

#include <utility>

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
  const bool past_ended = std::exchange(past_, past) && !past;
  if (past_ended || (counting_.has_value() && next - *counting_ > options_.age_max)) {
    counting_ = enough ? std::optional(next) : std::nullopt;
  }
  const auto turn = [&, refit = past ? options_.past_refit : options_.refit](int64_t cell) {
    return FloorDivide(cell - options_.phase, refit);
  };
  if (enough && (!counting_.has_value() || turn(next) > turn(*counting_))) due_ = next;
}

void FitSchedule::Shift(int64_t cells) {
  if (counting_.has_value()) *counting_ += cells;
  if (due_.has_value()) *due_ += cells;
}

void FitSchedule::Save(SavedWriter& writer) const {
  SaveCell(writer, counting_);
  SaveCell(writer, due_);
  writer.U8(past_ ? 1 : 0);
}

bool FitSchedule::Load(SavedReader& reader, int64_t first, int64_t next) {
  counting_ = LoadCell(reader);
  due_ = LoadCell(reader);
  past_ = reader.U8() != 0;
  const auto held = [&](const std::optional<int64_t>& cell) {
    return !cell.has_value() || (*cell > first && *cell <= next);
  };
  return reader.ok() && held(counting_) && held(due_);
}

}  // namespace shadow
