// The store: registry, decisions and events in state.db, samples in metrics.db.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

class Room;

// Thread-safe. One writer thread owns every write and every checkpoint; reads go through
// connections of their own and see what is committed. All methods but Commit block.
class Store {
 public:
  struct Options {
    absl::Duration sample_retention = absl::Hours(24 * 35);
    absl::Duration rollup_5m_retention = absl::Hours(24 * 90);
    absl::Duration rollup_1h_retention = absl::Hours(24 * 400);
    absl::Duration decision_retention = absl::Hours(24 * 7);
    absl::Duration event_retention = absl::Hours(24 * 7);
    int64_t events_max = 1'000'000;  // Of the newest ones, by their numbers.
    absl::Duration request_retention = absl::Hours(24);
    // Of the kernel, which says whether two readings of the monotonic clock can be compared. Empty:
    // not known.
    std::string boot_id = {};
    // The directory may be a copy of the one that the store was in (state_identity.h): a person
    // says that the original is not used any more.
    bool adopt_copy = false;
    // Of `directory`; must outlive the store. Null: none is kept, and a full disk stops the writer
    // at once.
    Room* room = nullptr;
    // How long in all a write that fails for another reason than room is tried again.
    absl::Duration error_patience = absl::Seconds(10);
    // The wall clock, on any thread, for StalledSince. Empty: it has no time.
    std::function<absl::Time()> now = {};
    // Told on the writer thread of definitions that could not be written beside the records of
    // instances (definitions/definition_files.h) for another reason than room. They are tried again
    // with the next ones, and by the next start. May be empty.
    std::function<void(const absl::Status&)> on_definitions_error = {};
  };

  // Opens or creates `directory`/state.db and metrics.db, migrates them (after a backup) and checks
  // them. kFailedPrecondition: a newer schema, not a shadowd store, or a copy of another one.
  // kDataLoss: quick_check found damage. Nothing is changed then. On a full disk it takes from the
  // ballast what it needs; where it was last opened, in the same boot, it needs nothing.
  // kResourceExhausted: that is not enough, and how much is wanted. Takes no lock: see StateLock.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory,
                                                     const Options& options);
  virtual ~Store() = default;

  // Everything but samples, decisions and events; each kind in the order of its first put. A saved
  // forecast or the answer to a request that cannot be parsed is left out, because the daemon can
  // do without it. Any other record that cannot be parsed is kDataLoss.
  virtual absl::StatusOr<v1::StoreContents> Load() = 0;

  // Something missing or damaged that the store goes on without. People must know of it.
  struct Finding {
    std::string name;  // Of the resource; empty: of the store.
    std::string text;
  };
  // Those of Open and Load.
  virtual std::vector<Finding> TakeFindings() = 0;

  // Applies `batch` atomically (its samples in a transaction of their own, in metrics.db, first);
  // puts come before erasures, and the files of definitions before all. Batches are applied in the
  // order of the calls, many in one transaction (group commit). `done` may be empty. It runs on the
  // writer thread, in the same order, after the commit is on disk, or with the error that kept it
  // from it. kResourceExhausted: 4096 batches or 1,000,000 samples are waiting; only then `done`
  // runs in the call itself. kInvalidArgument: this batch alone cannot be stored, for it has a
  // record without a name, a sample that is not finite, or a revision or decision id that is there
  // already.
  //
  // On a full disk the batch is tried again, with slices of the ballast, then until there is room;
  // those behind it wait, for nothing overtakes it. Another I/O error (kUnavailable) is tried again
  // for `error_patience`. After one that lasts longer, damage (kDataLoss), and EndRetries, every
  // further Commit fails with it.
  virtual void Commit(v1::WriteBatch batch, absl::AnyInvocable<void(absl::Status)> done) = 0;

  // Why the writer has to try again at present; OK: it does not.
  virtual absl::Status Stalled() const = 0;

  // When it first had to; unset: it does not have to, or Options::now is empty.
  virtual std::optional<absl::Time> StalledSince() const = 0;

  // For the end of the daemon: what cannot be written now fails, and so does all behind it.
  virtual void EndRetries() = 0;

  // Removes what is older than its retention, and the oldest events beyond `events_max` (with
  // scarce room, beyond kScarceEventsMax), in slices of at most 10,000 rows, on the writer thread,
  // between commits. Returns when all is removed, so it must not be called from a `done`; or when
  // it cannot be written now, and the next call goes on. What has passed is what passed on the
  // monotonic clock, so a wall clock that was set forward removes nothing before a week of running
  // (storage/retention_clock.h). Samples become means of 5 minutes, these means of hours, and these
  // are removed, each by the chunk, when the last of it is too old for its resolution. A mean has
  // the time at which its 5 minutes or its hour (UTC) begin. Samples of an erased pool also stay
  // until their retention ends.
  virtual void Prune(absl::Time wall, absl::Duration mono) = 0;

  // From the next Prune on: the retentions and `events_max` of `options`; the rest of it does not
  // count.
  virtual void Configure(const Options& options) = 0;

  // Samples of `pool` ("pools/web") in (after, until], oldest first, at most `limit` (the oldest
  // ones), and before the first of them means of at most `coarsest`: zero gives none, 5 minutes and
  // 1 hour those. Costs as much as is returned, however much there is of others and of other times.
  // kDataLoss: some of them cannot be read; the message says from which time to which. The others
  // can be read around them.
  virtual absl::StatusOr<std::vector<v1::Sample>> ReadSamples(const std::string& pool,
                                                              absl::Time after, absl::Time until,
                                                              absl::Duration coarsest,
                                                              int64_t limit) = 0;

  // Where a pool's samples are read from: those later than `after`, and means as in ReadSamples.
  struct From {
    absl::Time after;
    absl::Duration coarsest;
  };
  // Those of many pools: of one pool in `from` after the other the samples up to `until`, oldest
  // first. What cannot be read is left out; returned is a finding for each such piece. `take` must
  // not call the store.
  virtual absl::StatusOr<std::vector<Finding>> ScanSamples(
      const std::map<std::string, From>& from, absl::Time until,
      absl::FunctionRef<void(const std::string& pool, v1::Sample sample)> take) = 0;

  // How much one read returns: at most `rows`. It also ends with the first row after those that
  // have `bytes` or more, so a caller who wants one page sees whether another follows.
  struct ReadLimit {
    // Not explicit: most callers only count rows.
    ReadLimit(int64_t rows_max, int64_t bytes_max = std::numeric_limits<int64_t>::max())
        : rows(rows_max), bytes(bytes_max) {}

    int64_t rows;
    int64_t bytes;  // Of the messages.
  };

  // Newest first, ids below `before_id` (0: from the newest). A row that is damaged is left out, of
  // events too.
  virtual absl::StatusOr<std::vector<v1::Decision>> ReadDecisions(const std::string& pool,
                                                                  int64_t before_id,
                                                                  ReadLimit limit) = 0;

  // Oldest first, revisions above `after_revision`; `name_prefix` empty: all, else the resource of
  // that name and those below it. kOutOfRange: events above `after_revision` were removed by
  // retention (not for 0).
  virtual absl::StatusOr<std::vector<v1::Event>> ReadEvents(int64_t after_revision,
                                                            const std::string& name_prefix,
                                                            ReadLimit limit) = 0;

  static constexpr int64_t kScarceEventsMax = 10'000;

  // The schema of state.db that this build writes, `PRAGMA user_version`.
  static int SchemaVersion();
};

}  // namespace shadow
