// The one thread that writes: group commit, chunks, retention and checkpoints.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shadow/v1/record.pb.h"
#include "storage/definitions/definition_files.h"
#include "storage/retention.h"
#include "storage/retention_clock.h"
#include "storage/room/room.h"
#include "storage/samples/hot_samples.h"
#include "storage/samples/sample_tables.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/store.h"
#include "storage/tables.h"

namespace shadow::storage {

inline constexpr size_t kWaitingBatchesMax = 4096;
// About 100 MB of messages. One batch of more is taken when no other sample is waiting.
inline constexpr int64_t kWaitingSamplesMax = 1'000'000;
// Of one transaction, so that it stays below a second; what is beyond goes into the next one.
inline constexpr int64_t kGroupSamplesMax = 200'000;
// From here on a checkpoint waits for the readers, so that the WAL cannot grow for ever.
inline constexpr int64_t kWalBytesUrgent = 4 * kWalBytesMax;
// With low room, of both the WAL and its file. A WAL that begins anew at this size needs no more
// room than its file has.
inline constexpr int64_t kWalBytesLow = 1 << 20;
// Between two tries of a write; doubled each time.
inline constexpr absl::Duration kRetryPauseMin = absl::Milliseconds(20);
inline constexpr absl::Duration kRetryPauseMax = absl::Milliseconds(500);
// Of checkpoints in a row that failed, but not for want of room.
inline constexpr int kCheckpointFailuresMax = 30;

// Thread-safe. Blocked while there is nothing to do. After an error that was not a batch's own, and
// lasts, it only answers, with that error.
class Writer {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // `hot` is loaded, and must outlive it.
  static absl::StatusOr<std::unique_ptr<Writer>> Start(const std::string& directory,
                                                       std::unique_ptr<Connection> state,
                                                       std::unique_ptr<Connection> metrics,
                                                       HotSamples& hot,
                                                       const Store::Options& options);
  ~Writer() { Stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // As in Store.
  void Commit(v1::WriteBatch batch, Done done);
  absl::Status Stalled() const;
  std::optional<absl::Time> StalledSince() const;
  void EndRetries();
  void Configure(const Store::Options& options);
  void Prune(absl::Time wall, absl::Duration mono);

  // Writes what is waiting, ends a Prune at its next slice, then the thread; what chunks could
  // still be made of is left to the next start. Implies EndRetries. Afterwards only Stop may be
  // called.
  void Stop();

 private:
  struct Entry {
    v1::WriteBatch batch;
    Done done;
    int64_t samples = 0;
    absl::Status status;
  };
  // What one turn of the thread does.
  struct Work {
    std::vector<Entry> group;
    bool prune = false;
    ClockLook prune_look;
    Store::Options options;
    uint64_t prune_ticket = 0;
  };

  Writer(const std::string& directory, std::unique_ptr<Connection> state,
         std::unique_ptr<Connection> metrics, StateTables state_tables, SampleTables sample_tables,
         const Store::Options& options);

  void Run();
  bool NextWork(Work& work);  // False: stopped, and nothing is left.
  void CommitGroup(std::vector<Entry>& group);
  absl::Status WriteGroup(std::vector<Entry>& group);
  // Calls `write` until it has succeeded or there is no sense in it.
  absl::Status Insist(absl::FunctionRef<absl::Status()> write);
  // Calls it again as long as it fails for want of room and there is ballast.
  absl::Status WithBallast(absl::FunctionRef<absl::Status()> write);
  bool LacksRoom(const absl::Status& error) const;
  // False: there are no more tries.
  bool PauseAfter(const absl::Status& error, absl::Duration pause);
  void EndStall();
  // What can wait until there is room, or the next time, breaks nothing. True: it was done.
  bool Tolerate(const absl::Status& status);
  absl::Status WriteSamples(std::vector<Entry>& group);
  // An error: the disk is full. Another one is told, and keeps nothing from being stored.
  absl::Status WriteDefinitions(const std::vector<Entry>& group);
  absl::Status WriteState(std::vector<Entry>& group);
  void CompactSlice();
  void PruneSlice(const Work& work);
  void CheckpointIfDue(Connection& connection);
  bool CheckpointIsDue(const Connection& connection, Connection::Checkpoint& kind) const;

  // The thread's own.
  const std::unique_ptr<Connection> state_;
  const std::unique_ptr<Connection> metrics_;
  StateTables state_tables_;
  SampleTables sample_tables_;
  std::unique_ptr<Retention> retention_;  // Never null once it runs.
  DefinitionFiles definitions_;
  const std::function<void(const absl::Status&)> on_definitions_error_;
  bool definitions_fail_ = false;  // It was told.
  Room* const room_;               // Null: none is kept.
  const absl::Duration error_patience_;
  const std::function<absl::Time()> now_;
  absl::Status broken_;  // Not OK: why nothing is written any more.
  // The last compaction could not be written: it waits for the next commit that can.
  bool compaction_failed_ = false;
  int checkpoint_failures_ = 0;

  // Everybody's, under `mutex_`.
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable retry_;
  std::condition_variable pruned_;
  std::deque<Entry> waiting_;
  int64_t waiting_samples_ = 0;
  Store::Options options_;
  ClockLook prune_look_;  // Of the last call: an earlier one may have seen a clock that was wrong.
  uint64_t prune_asked_ = 0;
  uint64_t prune_finished_ = 0;  // Calls of Prune up to this one are served.
  absl::Status stalled_;
  std::optional<absl::Time> stalled_since_;
  bool retries_ended_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace shadow::storage
