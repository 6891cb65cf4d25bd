#include "storage/writer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow::storage {

absl::StatusOr<std::unique_ptr<Writer>> Writer::Start(std::unique_ptr<Connection> state,
                                                      std::unique_ptr<Connection> metrics,
                                                      HotSamples& hot,
                                                      const Store::Options& options) {
  absl::StatusOr<StateTables> state_tables = StateTables::Prepare(*state);
  if (!state_tables.ok()) return state_tables.status();
  absl::StatusOr<SampleTables> sample_tables = SampleTables::Prepare(*metrics, hot);
  if (!sample_tables.ok()) return sample_tables.status();
  std::unique_ptr<Writer> writer(new Writer(std::move(state), std::move(metrics),
                                            *std::move(state_tables), *std::move(sample_tables)));
  absl::StatusOr<std::unique_ptr<Retention>> retention =
      Retention::Prepare(*writer->state_, *writer->metrics_, writer->sample_tables_);
  if (!retention.ok()) return retention.status();
  writer->retention_ = *std::move(retention);
  writer->options_ = options;
  writer->prune_look_.boot_id = options.boot_id;
  writer->thread_ = std::thread([raw = writer.get()] { raw->Run(); });
  return writer;
}

Writer::Writer(std::unique_ptr<Connection> state, std::unique_ptr<Connection> metrics,
               StateTables state_tables, SampleTables sample_tables)
    : state_(std::move(state)),
      metrics_(std::move(metrics)),
      state_tables_(std::move(state_tables)),
      sample_tables_(std::move(sample_tables)) {}

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
  pruned_.wait(lock, [&] { return prune_finished_ >= ticket; });
}

void Writer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_one();
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
  const bool compaction_is_due = broken_.ok() && sample_tables_.CompactionIsDue();
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
  work.prune_ticket = prune_asked_;
  return true;
}

void Writer::CommitGroup(std::vector<Entry>& group) {
  for (Entry& entry : group) entry.status = broken_.ok() ? CheckBatch(entry.batch) : broken_;
  if (broken_.ok()) {
    broken_ = WriteSamples(group);
    if (broken_.ok()) broken_ = WriteState(group);
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
  if (status.ok()) sample_tables_.Committed();
  return status;
}

absl::Status Writer::WriteState(std::vector<Entry>& group) {
  const auto is_for_state = [](const Entry& entry) {
    return entry.status.ok() && HasState(entry.batch);
  };
  if (std::none_of(group.begin(), group.end(), is_for_state)) return absl::OkStatus();
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
  if (!broken_.ok() || !sample_tables_.CompactionIsDue()) return;
  Transaction transaction(*metrics_);
  broken_ = transaction.Begin(Transaction::Kind::kWrite);
  if (broken_.ok()) broken_ = sample_tables_.Compact();
  if (broken_.ok()) broken_ = transaction.Commit();
  if (broken_.ok()) sample_tables_.Committed();
}

void Writer::PruneSlice(const Work& work) {
  bool more = false;
  if (broken_.ok()) {
    const absl::StatusOr<bool> removed = retention_->RemoveSlice(work.options, work.prune_look);
    if (removed.ok()) {
      more = *removed;
    } else {
      broken_ = removed.status();
    }
  }
  const std::lock_guard lock(mutex_);
  if (more && !stopping_) return;  // The next slice comes after what was queued meanwhile.
  prune_finished_ = work.prune_ticket;
  pruned_.notify_all();
}

void Writer::CheckpointIfDue(Connection& connection) {
  if (!broken_.ok() || connection.wal_bytes() < kWalBytesMax) return;
  broken_ = connection.RunCheckpoint(connection.wal_bytes() < kWalBytesUrgent
                                         ? Connection::Checkpoint::kPassive
                                         : Connection::Checkpoint::kTruncate);
}

}  // namespace shadow::storage
