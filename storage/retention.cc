#include "storage/retention.h"

#include <array>

#include "storage/samples/resolutions.h"
#include "storage/tables.h"

namespace shadow::storage {
namespace {

// What Compact left: of pools that are gone.
constexpr char kRemoveSamples[] =
    "DELETE FROM samples WHERE (time_ns, series) IN "
    "(SELECT time_ns, series FROM samples WHERE time_ns < ?1 ORDER BY time_ns, series LIMIT ?2)";
constexpr char kRemoveRequests[] =
    "DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests WHERE time_ns < ?1 LIMIT ?2)";

// ?1: expired before it; ?2: rows of a slice; ?3: the wall clock; ?4: expired up to this number.
// A slice that is all from the wall clock's future goes if what comes after the last of those has
// expired. It is looked for among all rows: they are that many only after a clock that was wrong
// for long.
constexpr char kFindEvents[] =
    "WITH slice AS (SELECT revision, time_ns FROM events ORDER BY revision LIMIT ?2) "
    "SELECT max(revision) FROM slice WHERE time_ns < ?1 AND revision < "
    "(SELECT ifnull(min(revision), 9223372036854775807) FROM slice "
    "WHERE time_ns BETWEEN ?1 AND ?3) OR revision <= ?4 "
    "OR ((SELECT min(time_ns) FROM slice) > ?3 AND "
    "(SELECT time_ns FROM events WHERE time_ns <= ?3 ORDER BY revision LIMIT 1) < ?1)";
constexpr char kNewestEvent[] = "SELECT ifnull(max(revision), 0) FROM events";
constexpr char kRemoveEvents[] = "DELETE FROM events WHERE revision <= ?1";
constexpr char kNoteEvents[] = "UPDATE meta SET value = ?1 WHERE key = 'events_removed'";

constexpr char kFindDecisions[] =
    "WITH slice AS (SELECT id, time_ns FROM decisions ORDER BY id LIMIT ?2) "
    "SELECT max(id) FROM slice WHERE time_ns < ?1 AND id < "
    "(SELECT ifnull(min(id), 9223372036854775807) FROM slice WHERE time_ns BETWEEN ?1 AND ?3) "
    "OR id <= ?4 OR ((SELECT min(time_ns) FROM slice) > ?3 AND "
    "(SELECT time_ns FROM decisions WHERE time_ns <= ?3 ORDER BY id LIMIT 1) < ?1)";
constexpr char kRemoveDecisions[] = "DELETE FROM decisions WHERE id <= ?1";
constexpr char kNoteDecisions[] = "UPDATE meta SET value = ?1 WHERE key = 'decisions_removed'";

absl::Status RunWith(Connection& connection, const char* sql, int64_t number) {
  absl::StatusOr<Statement> statement = connection.Prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->Bind(1, number);
  return statement->Run();
}

// Rows of a table whose order of removal does not matter.
absl::StatusOr<bool> RemoveExpired(Connection& connection, const char* sql, absl::Time before,
                                   int64_t rows_max) {
  absl::StatusOr<Statement> statement = connection.Prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->Bind(1, ToNanos(before));
  statement->Bind(2, rows_max);
  if (absl::Status status = statement->Run(); !status.ok()) return status;
  const absl::StatusOr<int64_t> removed = connection.QueryInteger("SELECT changes()");
  if (!removed.ok()) return removed.status();
  return *removed > 0;
}

}  // namespace

struct Retention::Numbered {
  const char* find;
  const char* remove;
  const char* note;
};

struct Retention::Expired {
  absl::Time before;
  absl::Time wall;
  int64_t until_number = 0;
};

absl::StatusOr<std::unique_ptr<Retention>> Retention::Prepare(Connection& state,
                                                              Connection& metrics,
                                                              SampleTables& samples) {
  absl::StatusOr<RollUps> roll_ups = RollUps::Prepare(metrics);
  if (!roll_ups.ok()) return roll_ups.status();
  absl::StatusOr<std::optional<RetentionTime>> time = LoadRetentionTime(state);
  if (!time.ok()) return time.status();
  return std::unique_ptr<Retention>(
      new Retention(state, metrics, samples, *std::move(roll_ups), *std::move(time)));
}

absl::Status Retention::Look(const ClockLook& now) {
  const RetentionTime first{.time = now.wall,
                            .boot_id = now.boot_id,
                            .mono = now.mono,
                            .ahead = absl::ZeroDuration(),
                            .ahead_for = absl::ZeroDuration()};
  const RetentionTime next = time_.has_value() ? Advance(*time_, now) : first;
  if (time_ == next) return absl::OkStatus();
  // Before anything goes by it: what passed must not count again after a crash.
  if (absl::Status saved = SaveRetentionTime(state_, next); !saved.ok()) return saved;
  time_ = next;
  return absl::OkStatus();
}

absl::StatusOr<bool> Retention::RemoveSlice(const Store::Options& options, const ClockLook& look) {
  if (absl::Status looked = Look(look); !looked.ok()) return looked;
  const absl::Time now = time_->time;
  const absl::Time samples_from = now - options.sample_retention;
  if (samples_.MakeOldDue(ToNanos(samples_from))) return true;
  absl::StatusOr<bool> removed =
      RemoveExpired(metrics_, kRemoveSamples, samples_from, kSliceRowsMax);
  if (!removed.ok() || *removed) return removed;
  const std::array<absl::Duration, kResolutions.size()> retentions = {
      options.sample_retention, options.rollup_5m_retention, options.rollup_1h_retention};
  for (size_t resolution = 0; resolution < retentions.size(); ++resolution) {
    removed = RollUpSlice(resolution, now - retentions[resolution]);
    if (!removed.ok() || *removed) return removed;
  }
  const absl::StatusOr<int64_t> newest = state_.QueryInteger(kNewestEvent);
  if (!newest.ok()) return newest.status();
  removed = RemoveNumbered({kFindEvents, kRemoveEvents, kNoteEvents},
                           {.before = now - options.event_retention,
                            .wall = look.wall,
                            .until_number = *newest - options.events_max});
  if (!removed.ok() || *removed) return removed;
  removed = RemoveNumbered({kFindDecisions, kRemoveDecisions, kNoteDecisions},
                           {.before = now - options.decision_retention, .wall = look.wall});
  if (!removed.ok() || *removed) return removed;
  return RemoveExpired(state_, kRemoveRequests, now - options.request_retention, kSliceRowsMax);
}

absl::StatusOr<bool> Retention::RollUpSlice(size_t resolution, absl::Time before) {
  Transaction transaction(metrics_);
  if (absl::Status status = transaction.Begin(Transaction::Kind::kWrite); !status.ok()) {
    return status;
  }
  size_t chunks = 0;
  while (chunks < kSliceChunksMax) {
    const absl::StatusOr<size_t> expired = roll_ups_.Expire(resolution, ToNanos(before));
    if (!expired.ok()) return expired.status();
    if (*expired == 0) break;
    chunks += *expired;
  }
  if (absl::Status status = transaction.Commit(); !status.ok()) return status;
  return chunks > 0;
}

absl::StatusOr<bool> Retention::RemoveNumbered(const Numbered& table, const Expired& expired) {
  int64_t last = 0;
  {
    absl::StatusOr<Statement> oldest = state_.Prepare(table.find);
    if (!oldest.ok()) return oldest.status();
    oldest->Bind(1, ToNanos(expired.before));
    oldest->Bind(2, kSliceRowsMax);
    oldest->Bind(3, ToNanos(expired.wall));
    oldest->Bind(4, expired.until_number);
    const absl::StatusOr<bool> row = oldest->Next();
    if (!row.ok()) return row.status();
    if (!*row || oldest->IsNull(0)) return false;
    last = oldest->Integer(0);
  }
  Transaction transaction(state_);
  absl::Status status = transaction.Begin(Transaction::Kind::kWrite);
  if (status.ok()) status = RunWith(state_, table.remove, last);
  if (status.ok()) status = RunWith(state_, table.note, last);
  if (status.ok()) status = transaction.Commit();
  if (!status.ok()) return status;
  return true;
}

}  // namespace shadow::storage
