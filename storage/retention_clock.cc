#include "storage/retention_clock.h"

#include <algorithm>
#include <cstdint>

#include "storage/tables.h"

namespace shadow::storage {
namespace {

constexpr char kLoadTime[] =
    "SELECT (SELECT value FROM meta WHERE key = 'retention_time_ns'), "
    "(SELECT value FROM meta WHERE key = 'retention_boot_id'), "
    "(SELECT value FROM meta WHERE key = 'retention_mono_ns'), "
    "(SELECT value FROM meta WHERE key = 'retention_ahead_ns'), "
    "(SELECT value FROM meta WHERE key = 'retention_ahead_for_ns'), "
    "(SELECT time_ns FROM events ORDER BY revision DESC LIMIT 1)";
constexpr char kSaveTime[] =
    "INSERT OR REPLACE INTO meta(key, value) VALUES('retention_time_ns', ?1), "
    "('retention_boot_id', ?2), ('retention_mono_ns', ?3), ('retention_ahead_ns', ?4), "
    "('retention_ahead_for_ns', ?5)";

}  // namespace

RetentionTime Advance(const RetentionTime& last, const ClockLook& now) {
  const bool same_boot =
      !now.boot_id.empty() && now.boot_id == last.boot_id && now.mono >= last.mono;
  const absl::Duration passed = same_boot ? now.mono - last.mono : absl::ZeroDuration();
  RetentionTime next{.time = std::min(now.wall, last.time + passed),
                     .boot_id = now.boot_id,
                     .mono = now.mono,
                     .ahead = absl::ZeroDuration(),
                     .ahead_for = absl::ZeroDuration()};
  const absl::Duration ahead = now.wall - next.time;
  if (last.ahead == absl::ZeroDuration() || ahead == absl::ZeroDuration()) {
    next.ahead = ahead;
    return next;
  }
  next.ahead = std::min(last.ahead, ahead);
  next.ahead_for = last.ahead_for + passed;
  if (next.ahead_for < kAheadUntilBelieved) return next;
  next.time += next.ahead;
  next.ahead = now.wall - next.time;
  next.ahead_for = absl::ZeroDuration();
  return next;
}

absl::StatusOr<std::optional<RetentionTime>> LoadRetentionTime(Connection& state) {
  absl::StatusOr<Statement> load = state.Prepare(kLoadTime);
  if (!load.ok()) return load.status();
  if (const absl::StatusOr<bool> row = load->Next(); !row.ok()) return row.status();
  constexpr int kEventColumn = 5;
  if (!load->IsNull(0)) {
    return RetentionTime{.time = absl::FromUnixNanos(load->Integer(0)),
                         .boot_id = std::string(load->Bytes(1)),
                         .mono = absl::Nanoseconds(load->Integer(2)),
                         .ahead = absl::Nanoseconds(load->Integer(3)),
                         .ahead_for = absl::Nanoseconds(load->Integer(4))};
  }
  if (load->IsNull(kEventColumn)) return std::nullopt;
  return RetentionTime{.time = absl::FromUnixNanos(load->Integer(kEventColumn)),
                       .boot_id = {},
                       .mono = {},
                       .ahead = {},
                       .ahead_for = {}};
}

absl::Status SaveRetentionTime(Connection& state, const RetentionTime& time) {
  absl::StatusOr<Statement> save = state.Prepare(kSaveTime);
  if (!save.ok()) return save.status();
  save->Bind(1, ToNanos(time.time));
  save->BindText(2, time.boot_id);
  save->Bind(3, absl::ToInt64Nanoseconds(time.mono));
  save->Bind(4, absl::ToInt64Nanoseconds(time.ahead));
  save->Bind(5, absl::ToInt64Nanoseconds(time.ahead_for));
  return save->Run();
}

}  // namespace shadow::storage
