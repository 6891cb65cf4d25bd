#include "storage/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/reader_pool.h"
#include "storage/room/room.h"
#include "storage/samples/hot_samples.h"
#include "storage/samples/sample_reader.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/state_identity.h"
#include "storage/tables.h"
#include "storage/writer.h"

namespace shadow {
namespace {

using storage::Connection;
using storage::HotSamples;
using storage::ReaderPool;
using storage::ResourceKind;
using storage::SampleReader;
using storage::Statement;
using storage::TimedValue;
using storage::Transaction;

constexpr char kStoreId[] = "SELECT value FROM meta WHERE key = 'store_id'";
constexpr char kLastRevision[] =
    "SELECT max(ifnull((SELECT max(revision) FROM events), 0), value) "
    "FROM meta WHERE key = 'events_removed'";
constexpr char kLastDecision[] =
    "SELECT max(ifnull((SELECT max(id) FROM decisions), 0), value) "
    "FROM meta WHERE key = 'decisions_removed'";
constexpr char kEpochs[] = "SELECT epoch, last_revision FROM epochs";
constexpr char kResources[] = "SELECT kind, data, name FROM resources ORDER BY id";
constexpr char kRequests[] = "SELECT data, request_id FROM requests ORDER BY rowid";

constexpr char kDecisions[] =
    "SELECT data FROM decisions WHERE pool = ?1 AND id < ?2 ORDER BY id DESC";

constexpr char kEventsRemoved[] = "SELECT value FROM meta WHERE key = 'events_removed'";
constexpr char kAllEvents[] = "SELECT data FROM events WHERE revision > ?1 ORDER BY revision";
// '0' follows '/': the names that begin with ?2 and '/'.
constexpr char kEventsBelow[] =
    "SELECT data FROM events WHERE revision > ?1 "
    "AND (name = ?2 OR (name > ?2 || '/' AND name < ?2 || '0')) ORDER BY revision";

// Our SQL does not fit what is in a file that is whole as a file.
absl::Status AsDamage(const absl::Status& status) {
  if (!absl::IsInternal(status) && !absl::IsInvalidArgument(status)) return status;
  return absl::DataLossError(
      absl::StrCat("the store is not as shadowd writes it; restore it from a "
                   "backup: ",
                   status.message()));
}

absl::Status ParseInto(std::string_view bytes, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("a stored ", message.GetTypeName(), " cannot be parsed"));
}

// The first column of the first `limit` rows that are messages: history that is damaged hides
// nothing but itself. `statement` is bound.
template <typename Message>
absl::StatusOr<std::vector<Message>> ReadHistory(Statement& statement, Store::ReadLimit limit) {
  std::vector<Message> messages;
  int64_t bytes = 0;
  int64_t bytes_before_last = 0;
  while (std::ssize(messages) < limit.rows && bytes_before_last < limit.bytes) {
    const absl::StatusOr<bool> row = statement.Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    Message message;
    if (!ParseInto(statement.Bytes(0), message).ok()) continue;
    bytes_before_last = bytes;
    bytes += static_cast<int64_t>(message.ByteSizeLong());
    messages.push_back(std::move(message));
  }
  return messages;
}

google::protobuf::MessageLite* AddResource(ResourceKind kind, v1::StoreContents& contents) {
  switch (kind) {
    case ResourceKind::kDna:
      return contents.add_dnas();
    case ResourceKind::kPool:
      return contents.add_pools();
    case ResourceKind::kShadow:
      return contents.add_shadows();
    case ResourceKind::kInstance:
      return contents.add_instances();
    case ResourceKind::kForecaster:
      return contents.add_forecasters();
  }
  return nullptr;
}

absl::Status LoadResources(Connection& state, v1::StoreContents& contents,
                           std::vector<Store::Finding>& findings) {
  absl::StatusOr<Statement> statement = state.Prepare(kResources);
  if (!statement.ok()) return statement.status();
  while (true) {
    const absl::StatusOr<bool> row = statement->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    const int64_t kind = statement->Integer(0);
    google::protobuf::MessageLite* record = AddResource(static_cast<ResourceKind>(kind), contents);
    if (record == nullptr) {
      return absl::DataLossError(absl::StrCat("a stored resource has the unknown kind ", kind));
    }
    const absl::Status status = ParseInto(statement->Bytes(1), *record);
    if (status.ok()) continue;
    const std::string name(statement->Bytes(2));
    if (static_cast<ResourceKind>(kind) != ResourceKind::kForecaster) {
      return absl::DataLossError(absl::StrCat(name, ": ", status.message()));
    }
    contents.mutable_forecasters()->RemoveLast();
    findings.push_back({.name = name.substr(name.find('/') + 1),
                        .text = "its saved forecast is damaged and was dropped; the pool learns "
                                "again from its samples"});
  }
}

// An answer is kept for a day in case its request comes again. A damaged one must not stop a start.
absl::Status LoadRequests(Connection& state, v1::StoreContents& contents,
                          std::vector<Store::Finding>& findings) {
  absl::StatusOr<Statement> statement = state.Prepare(kRequests);
  if (!statement.ok()) return statement.status();
  while (true) {
    const absl::StatusOr<bool> row = statement->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (ParseInto(statement->Bytes(0), *contents.add_requests()).ok()) continue;
    contents.mutable_requests()->RemoveLast();
    findings.push_back(
        {.name = "",
         .text = absl::StrCat("the answer to request_id \"", std::string(statement->Bytes(1)),
                              "\" is damaged and was dropped; the request would be "
                              "done again if it came again")});
  }
}

absl::Status LoadEpochs(Connection& state, v1::StoreContents& contents) {
  absl::StatusOr<Statement> statement = state.Prepare(kEpochs);
  if (!statement.ok()) return statement.status();
  while (true) {
    const absl::StatusOr<bool> row = statement->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    std::string epoch(statement->Bytes(0));
    if (statement->IsNull(1)) {
      contents.set_epoch(std::move(epoch));
      continue;
    }
    v1::PastEpoch& past = *contents.add_past_epochs();
    past.set_epoch(std::move(epoch));
    past.set_last_revision(statement->Integer(1));
  }
}

v1::Sample ToSample(const TimedValue& timed) {
  v1::Sample sample;
  *sample.mutable_time() = storage::FromNanos(timed.time_ns);
  sample.set_value(timed.value);
  return sample;
}

SampleReader::Range RangeOf(absl::Time after, absl::Time until, absl::Duration coarsest) {
  return {.after_ns = storage::ToNanos(after),
          .until_ns = storage::ToNanos(until),
          .coarsest_ns = absl::ToInt64Nanoseconds(coarsest)};
}

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& state_path, const std::string& metrics_path,
              std::vector<Finding> findings, std::unique_ptr<HotSamples> hot,
              std::unique_ptr<storage::Writer> writer)
      : findings_(std::move(findings)),
        hot_(std::move(hot)),
        writer_(std::move(writer)),
        state_readers_(state_path),
        metrics_readers_(metrics_path) {}

  // The last callbacks may still read.
  ~SqliteStore() override { writer_->Stop(); }

  void Commit(v1::WriteBatch batch, absl::AnyInvocable<void(absl::Status)> done) override {
    writer_->Commit(std::move(batch), std::move(done));
  }
  absl::Status Stalled() const override { return writer_->Stalled(); }
  std::optional<absl::Time> StalledSince() const override { return writer_->StalledSince(); }
  void EndRetries() override { writer_->EndRetries(); }
  void Configure(const Options& options) override { writer_->Configure(options); }
  void Prune(absl::Time wall, absl::Duration mono) override { writer_->Prune(wall, mono); }

  absl::StatusOr<v1::StoreContents> Load() override;
  std::vector<Finding> TakeFindings() override { return std::exchange(findings_, {}); }
  absl::StatusOr<std::vector<v1::Sample>> ReadSamples(const std::string& pool, absl::Time after,
                                                      absl::Time until, absl::Duration coarsest,
                                                      int64_t limit) override;
  absl::StatusOr<std::vector<Finding>> ScanSamples(
      const std::map<std::string, From>& from, absl::Time until,
      absl::FunctionRef<void(const std::string& pool, v1::Sample sample)> take) override;
  absl::StatusOr<std::vector<v1::Decision>> ReadDecisions(const std::string& pool,
                                                          int64_t before_id,
                                                          ReadLimit limit) override;
  absl::StatusOr<std::vector<v1::Event>> ReadEvents(int64_t after_revision,
                                                    const std::string& name_prefix,
                                                    ReadLimit limit) override;

 private:
  absl::StatusOr<v1::StoreContents> LoadAll();

  std::vector<Finding> findings_;
  const std::unique_ptr<HotSamples> hot_;
  // Destroyed after the readers, so that the writing connection closes last and takes the WAL with
  // it.
  const std::unique_ptr<storage::Writer> writer_;
  ReaderPool state_readers_;
  ReaderPool metrics_readers_;
};

absl::StatusOr<v1::StoreContents> SqliteStore::Load() {
  absl::StatusOr<v1::StoreContents> contents = LoadAll();
  if (!contents.ok()) return AsDamage(contents.status());
  return contents;
}

absl::StatusOr<v1::StoreContents> SqliteStore::LoadAll() {
  absl::StatusOr<ReaderPool::Lease> state = state_readers_.Take();
  if (!state.ok()) return state.status();
  Transaction snapshot(**state);
  if (absl::Status status = snapshot.Begin(Transaction::Kind::kRead); !status.ok()) return status;
  v1::StoreContents contents;
  absl::StatusOr<std::string> store_id = (*state)->QueryText(kStoreId);
  if (!store_id.ok()) return store_id.status();
  contents.set_store_id(*std::move(store_id));
  const absl::StatusOr<int64_t> revision = (*state)->QueryInteger(kLastRevision);
  if (!revision.ok()) return revision.status();
  contents.set_last_revision(*revision);
  const absl::StatusOr<int64_t> decision = (*state)->QueryInteger(kLastDecision);
  if (!decision.ok()) return decision.status();
  contents.set_last_decision_id(*decision);
  absl::Status status = LoadEpochs(**state, contents);
  if (status.ok()) status = LoadResources(**state, contents, findings_);
  if (status.ok()) status = LoadRequests(**state, contents, findings_);
  if (!status.ok()) return status;
  return contents;
}

absl::StatusOr<std::vector<v1::Sample>> SqliteStore::ReadSamples(const std::string& pool,
                                                                 absl::Time after, absl::Time until,
                                                                 absl::Duration coarsest,
                                                                 int64_t limit) {
  std::vector<v1::Sample> samples;
  if (limit <= 0) return samples;
  absl::StatusOr<ReaderPool::Lease> metrics = metrics_readers_.Take();
  if (!metrics.ok()) return metrics.status();
  absl::StatusOr<SampleReader> reader = SampleReader::Prepare(**metrics, *hot_);
  if (!reader.ok()) return reader.status();
  const absl::Status status = reader->Read(
      pool, RangeOf(after, until, coarsest),
      [&](const TimedValue& sample) {
        samples.push_back(ToSample(sample));
        return std::ssize(samples) < limit;
      },
      [](absl::Status damage) { return damage; });
  if (!status.ok()) return status;
  return samples;
}

absl::StatusOr<std::vector<Store::Finding>> SqliteStore::ScanSamples(
    const std::map<std::string, From>& from, absl::Time until,
    absl::FunctionRef<void(const std::string& pool, v1::Sample sample)> take) {
  absl::StatusOr<ReaderPool::Lease> metrics = metrics_readers_.Take();
  if (!metrics.ok()) return metrics.status();
  absl::StatusOr<SampleReader> reader = SampleReader::Prepare(**metrics, *hot_);
  if (!reader.ok()) return reader.status();
  std::vector<Finding> damaged;
  for (const auto& [pool, begin] : from) {
    const absl::Status status = reader->Read(
        pool, RangeOf(begin.after, until, begin.coarsest),
        [&, name = &pool](const TimedValue& sample) {
          take(*name, ToSample(sample));
          return true;
        },
        [&, name = &pool](const absl::Status& damage) {
          damaged.push_back({.name = *name, .text = std::string(damage.message())});
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
  }
  return damaged;
}

absl::StatusOr<std::vector<v1::Decision>> SqliteStore::ReadDecisions(const std::string& pool,
                                                                     int64_t before_id,
                                                                     ReadLimit limit) {
  absl::StatusOr<ReaderPool::Lease> state = state_readers_.Take();
  if (!state.ok()) return state.status();
  absl::StatusOr<Statement> statement = (*state)->Prepare(kDecisions);
  if (!statement.ok()) return statement.status();
  statement->BindText(1, pool);
  statement->Bind(2, before_id == 0 ? std::numeric_limits<int64_t>::max() : before_id);
  return ReadHistory<v1::Decision>(*statement, limit);
}

absl::StatusOr<std::vector<v1::Event>> SqliteStore::ReadEvents(int64_t after_revision,
                                                               const std::string& name_prefix,
                                                               ReadLimit limit) {
  absl::StatusOr<ReaderPool::Lease> state = state_readers_.Take();
  if (!state.ok()) return state.status();
  // One snapshot, so that retention cannot come between the check and the reading.
  Transaction snapshot(**state);
  if (absl::Status status = snapshot.Begin(Transaction::Kind::kRead); !status.ok()) return status;
  const absl::StatusOr<int64_t> removed = (*state)->QueryInteger(kEventsRemoved);
  if (!removed.ok()) return removed.status();
  if (after_revision != 0 && after_revision < *removed) {
    return absl::OutOfRangeError(
        absl::StrCat("events up to revision ", *removed, " were removed by retention; revision ",
                     after_revision, " is before that: list everything anew"));
  }
  absl::StatusOr<Statement> statement =
      (*state)->Prepare(name_prefix.empty() ? kAllEvents : kEventsBelow);
  if (!statement.ok()) return statement.status();
  statement->Bind(1, after_revision);
  if (!name_prefix.empty()) statement->BindText(2, name_prefix);
  return ReadHistory<v1::Event>(*statement, limit);
}

absl::Status NoRoom(Room& room, const absl::Status& error) {
  constexpr double kMebibyte = 1 << 20;
  const Room::Look look = room.LookNow();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "the store cannot be opened for want of room, and no ballast is left: %s has %.1f MiB free, "
      "wanted %.1f MiB. Nothing is lost; make room. (%s)",
      room.directory(), static_cast<double>(look.free_bytes) / kMebibyte,
      static_cast<double>(look.wanted_bytes) / kMebibyte, std::string(error.message())));
}

absl::StatusOr<std::unique_ptr<Store>> OpenOnce(const std::string& directory,
                                                const Store::Options& options) {
  const std::string state_path = absl::StrCat(directory, "/state.db");
  const std::string metrics_path = absl::StrCat(directory, "/metrics.db");
  const auto place = storage::ReadStateIdentity(directory, options.boot_id);
  if (!place.ok()) return place.status();
  // All is checked before anything is changed.
  absl::Status status = storage::CheckDatabase(state_path, storage::StateSchema());
  if (status.ok()) status = storage::CheckDatabase(metrics_path, storage::MetricsSchema());
  if (status.ok() && !options.adopt_copy) status = storage::CheckIdentity(state_path, *place);
  if (!status.ok()) return AsDamage(status);
  const absl::StatusOr<bool> has_state = storage::IsThere(state_path);
  if (!has_state.ok()) return has_state.status();
  const absl::StatusOr<bool> has_metrics = storage::IsThere(metrics_path);
  if (!has_metrics.ok()) return has_metrics.status();
  std::vector<Store::Finding> findings;
  if (*has_state && !*has_metrics) {
    findings.push_back({.name = "",
                        .text = absl::StrCat(metrics_path,
                                             " is missing: an empty one was made, and every sample "
                                             "in it is gone")});
  }
  absl::StatusOr<std::unique_ptr<Connection>> metrics =
      storage::OpenDatabase(metrics_path, storage::MetricsSchema());
  if (!metrics.ok()) return AsDamage(metrics.status());
  absl::StatusOr<std::unique_ptr<Connection>> state =
      storage::OpenDatabase(state_path, storage::StateSchema());
  if (!state.ok()) return AsDamage(state.status());
  if (status = storage::SaveIdentity(**state, *place); !status.ok()) return AsDamage(status);
  auto hot = std::make_unique<HotSamples>();
  absl::StatusOr<std::unique_ptr<storage::Writer>> writer =
      storage::Writer::Start(directory, *std::move(state), *std::move(metrics), *hot, options);
  if (!writer.ok()) return AsDamage(writer.status());
  return std::make_unique<SqliteStore>(state_path, metrics_path, std::move(findings),
                                       std::move(hot), *std::move(writer));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory,
                                                   const Options& options) {
  while (true) {
    auto store = OpenOnce(directory, options);
    const bool lacks_room =
        !store.ok() && options.room != nullptr && options.room->Explains(store.status());
    if (!lacks_room) return store;
    if (!options.room->Release()) return NoRoom(*options.room, store.status());
  }
}

int Store::SchemaVersion() { return static_cast<int>(storage::StateSchema().migrations.size()); }

}  // namespace shadow
