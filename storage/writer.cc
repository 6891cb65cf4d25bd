#include "storage/writer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow::storage {

absl::StatusOr<std::unique_ptr<Writer>> Writer::Start(const std::string& directory,
                                                      std::unique_ptr<Connection> state,
                                                      std::unique_ptr<Connection> metrics,
                                                      HotSamples& hot,
                                                      const Store::Options& options) {
  absl::StatusOr<StateTables> state_tables = StateTables::Prepare(*state);
  if (!state_tables.ok()) return state_tables.status();
  absl::StatusOr<SampleTables> sample_tables = SampleTables::Prepare(*metrics, hot);
  if (!sample_tables.ok()) return sample_tables.status();
  std::unique_ptr<Writer> writer(new Writer(directory, std::move(state), std::move(metrics),
                                            *std::move(state_tables), *std::move(sample_tables),
                                            options));
  absl::StatusOr<std::unique_ptr<Retention>> retention =
      Retention::Prepare(*writer->state_, *writer->metrics_, writer->sample_tables_);
  if (!retention.ok()) return retention.status();
  writer->retention_ = *std::move(retention);
  writer->options_ = options;
  writer->prune_look_.boot_id = options.boot_id;
  writer->thread_ = std::thread([raw = writer.get()] { raw->Run(); });
  return writer;
}

Writer::Writer(const std::string& directory, std::unique_ptr<Connection> state,
               std::unique_ptr<Connection> metrics, StateTables state_tables,
               SampleTables sample_tables, const Store::Options& options)
    : state_(std::move(state)),
      metrics_(std::move(metrics)),
      state_tables_(std::move(state_tables)),
      sample_tables_(std::move(sample_tables)),
      definitions_(directory),
      on_definitions_error_(options.on_definitions_error),
      room_(options.room),
      error_patience_(options.error_patience),
      now_(options.now) {}

void Writer::Commit(v1::WriteBatch batch, Done done) {
  int64_t samples = 0;
  for (const v1::SampleBatch& one : batch.samples()) samples += one.samples_size();
  {
    const std::lock_guard lock(mutex_);
    const bool too_many_samples =
        samples > 0 && waiting_samples_ > 0 && waiting_samples_ + samples > kWaitingSamplesMax;
    if (waiting_.size() < kWaitingBatchesMax && !too_many_samples) {
      waiting_samples_ += samples;
      waiting_.push_back({.batch = std::move(batch),
                          .done = std::move(done),
                          .samples = samples,
                          .status = absl::OkStatus()});
      work_.notify_one();
      return;
    }
  }
  if (!done) return;
  done(absl::ResourceExhaustedError(absl::StrCat("the store is behind: ", kWaitingBatchesMax,
                                                 " batches or ", kWaitingSamplesMax,
                                                 " samples wait to be written; try again later")));
}

void Writer::Configure(const Store::Options& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

void Writer::Prune(absl::Time wall, absl::Duration mono) {
  std::unique_lock lock(mutex_);
  const uint64_t ticket = ++prune_asked_;
  prune_look_.wall = wall;
  prune_look_.mono = mono;
  work_.notify_one();
  pruned_.wait(lock, [&] { return prune_finished_ >= ticket || !stalled_.ok(); });
}

absl::Status Writer::Stalled() const {
  const std::lock_guard lock(mutex_);
  return stalled_;
}

std::optional<absl::Time> Writer::StalledSince() const {
  const std::lock_guard lock(mutex_);
  return stalled_since_;
}

void Writer::EndRetries() {
  const std::lock_guard lock(mutex_);
  retries_ended_ = true;
  retry_.notify_all();
}

void Writer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    retries_ended_ = true;
    work_.notify_one();
    retry_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Writer::Run() {
  pthread_setname_np(pthread_self(), "storage-writer");
  while (true) {
    Work work;
    if (!NextWork(work)) return;
    if (!work.group.empty()) CommitGroup(work.group);
    CompactSlice();
    if (work.prune) PruneSlice(work);
    CheckpointIfDue(*state_);
    CheckpointIfDue(*metrics_);
  }
}

bool Writer::NextWork(Work& work) {
  std::unique_lock lock(mutex_);
  const auto prune_is_due = [&] { return prune_asked_ > prune_finished_; };
  const bool compaction_is_due =
      broken_.ok() && !compaction_failed_ && sample_tables_.CompactionIsDue();
  work_.wait(lock,
             [&] { return stopping_ || !waiting_.empty() || prune_is_due() || compaction_is_due; });
  if (stopping_ && waiting_.empty() && !prune_is_due()) return false;
  int64_t samples = 0;
  while (!waiting_.empty() &&
         (work.group.empty() || samples + waiting_.front().samples <= kGroupSamplesMax)) {
    samples += waiting_.front().samples;
    work.group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_samples_ -= samples;
  work.prune = prune_is_due();
  work.prune_look = prune_look_;
  work.options = options_;
  if (room_ != nullptr && room_->last().scarce) {
    work.options.events_max = std::min(options_.events_max, Store::kScarceEventsMax);
  }
  work.prune_ticket = prune_asked_;
  return true;
}

void Writer::CommitGroup(std::vector<Entry>& group) {
  for (Entry& entry : group) entry.status = broken_.ok() ? CheckBatch(entry.batch) : broken_;
  if (broken_.ok()) {
    broken_ = WriteGroup(group);
    if (!broken_.ok()) {
      for (Entry& entry : group) {
        if (entry.status.ok()) entry.status = broken_;
      }
    }
  }
  for (Entry& entry : group) {
    if (entry.done) entry.done(std::move(entry.status));
  }
}

absl::Status Writer::WriteGroup(std::vector<Entry>& group) {
  bool samples_are_written = false;
  absl::Status status = Insist([&] {
    absl::Status written = samples_are_written ? absl::OkStatus() : WriteSamples(group);
    samples_are_written = written.ok();
    return written.ok() ? WriteState(group) : written;
  });
  if (status.ok()) compaction_failed_ = false;
  return status;
}

absl::Status Writer::Insist(absl::FunctionRef<absl::Status()> write) {
  absl::Duration waited;
  absl::Duration pause = kRetryPauseMin;
  absl::Status status = WithBallast(write);
  while (true) {
    const bool lacks_room = LacksRoom(status);
    if (!lacks_room && (!absl::IsUnavailable(status) || waited >= error_patience_)) break;
    if (!PauseAfter(status, pause)) break;
    if (!lacks_room) waited += pause;
    pause = std::min(2 * pause, kRetryPauseMax);
    status = WithBallast(write);
  }
  EndStall();
  return status;
}

absl::Status Writer::WithBallast(absl::FunctionRef<absl::Status()> write) {
  absl::Status status = write();
  while (LacksRoom(status) && room_->Release()) status = write();
  return status;
}

bool Writer::LacksRoom(const absl::Status& error) const {
  return room_ != nullptr && room_->Explains(error);
}

bool Writer::PauseAfter(const absl::Status& error, absl::Duration pause) {
  std::unique_lock lock(mutex_);
  if (stalled_.ok() && now_) stalled_since_ = now_();
  stalled_ = error;
  pruned_.notify_all();
  retry_.wait_for(lock, absl::ToChronoNanoseconds(pause), [this] { return retries_ended_; });
  return !retries_ended_;
}

void Writer::EndStall() {
  const std::lock_guard lock(mutex_);
  stalled_ = absl::OkStatus();
  stalled_since_.reset();
}

bool Writer::Tolerate(const absl::Status& status) {
  const bool again = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
  if (!status.ok() && !again) broken_ = status;
  return status.ok();
}

absl::Status Writer::WriteSamples(std::vector<Entry>& group) {
  std::vector<const v1::WriteBatch*> batches;
  for (const Entry& entry : group) {
    const bool concerns = entry.samples > 0 || ErasesPool(entry.batch);
    if (entry.status.ok() && concerns) batches.push_back(&entry.batch);
  }
  if (batches.empty()) return absl::OkStatus();
  Transaction transaction(*metrics_);
  absl::Status status = transaction.Begin(Transaction::Kind::kWrite);
  if (status.ok()) status = sample_tables_.Write(batches);
  if (status.ok()) status = transaction.Commit();
  if (status.ok()) {
    sample_tables_.Committed();
  } else {
    sample_tables_.RolledBack();
  }
  return status;
}

absl::Status Writer::WriteDefinitions(const std::vector<Entry>& group) {
  for (const Entry& entry : group) {
    if (entry.status.ok()) definitions_.Add(entry.batch);
  }
  absl::Status status = definitions_.Write();
  if (LacksRoom(status)) return status;
  const bool new_failure = !status.ok() && !std::exchange(definitions_fail_, true);
  if (status.ok()) definitions_fail_ = false;
  if (new_failure && on_definitions_error_) on_definitions_error_(status);
  return absl::OkStatus();
}

absl::Status Writer::WriteState(std::vector<Entry>& group) {
  const auto is_for_state = [](const Entry& entry) {
    return entry.status.ok() && HasState(entry.batch);
  };
  if (std::none_of(group.begin(), group.end(), is_for_state)) return absl::OkStatus();
  if (absl::Status kept = WriteDefinitions(group); !kept.ok()) return kept;
  Transaction transaction(*state_);
  if (absl::Status status = transaction.Begin(Transaction::Kind::kWrite); !status.ok()) {
    return status;
  }
  for (Entry& entry : group) {
    if (!is_for_state(entry)) continue;
    absl::Status status = state_tables_.Apply(entry.batch);
    if (absl::IsInvalidArgument(status)) {
      entry.status = std::move(status);  // Its own fault, and undone: the others go on.
    } else if (!status.ok()) {
      return status;
    }
  }
  return transaction.Commit();
}

void Writer::CompactSlice() {
  if (!broken_.ok() || compaction_failed_ || !sample_tables_.CompactionIsDue()) return;
  Transaction transaction(*metrics_);
  absl::Status status = transaction.Begin(Transaction::Kind::kWrite);
  if (status.ok()) status = sample_tables_.Compact();
  if (status.ok()) status = transaction.Commit();
  compaction_failed_ = !Tolerate(status);
  if (compaction_failed_) {
    sample_tables_.RolledBack();
  } else {
    sample_tables_.Committed();
  }
}

void Writer::PruneSlice(const Work& work) {
  bool more = false;
  if (broken_.ok()) {
    const absl::StatusOr<bool> removed = retention_->RemoveSlice(work.options, work.prune_look);
    more = Tolerate(removed.status()) && *removed;
  }
  const std::lock_guard lock(mutex_);
  if (more && !stopping_) return;  // The next slice comes after what was queued meanwhile.
  prune_finished_ = work.prune_ticket;
  pruned_.notify_all();
}

bool Writer::CheckpointIsDue(const Connection& connection, Connection::Checkpoint& kind) const {
  kind = connection.wal_bytes() < kWalBytesUrgent ? Connection::Checkpoint::kPassive
                                                  : Connection::Checkpoint::kTruncate;
  if (room_ == nullptr || !room_->last().low) return connection.wal_bytes() >= kWalBytesMax;
  // What the WAL's file has is given back only when the ballast is whole: until then it is room
  // that nobody else can take.
  if (!room_->ballast_is_whole()) return connection.wal_bytes() >= kWalBytesLow;
  kind = Connection::Checkpoint::kTruncate;
  return connection.wal_file_bytes() >= kWalBytesLow;
}

void Writer::CheckpointIfDue(Connection& connection) {
  Connection::Checkpoint kind;
  if (!broken_.ok() || !CheckpointIsDue(connection, kind)) return;
  const absl::Status status = WithBallast([&] { return connection.RunCheckpoint(kind); });
  const bool lacks_room = LacksRoom(status);
  if (Tolerate(status) || lacks_room) {
    checkpoint_failures_ = 0;
  } else if (++checkpoint_failures_ >= kCheckpointFailuresMax) {
    broken_ = status;
  }
}

}  // namespace shadow::storage
