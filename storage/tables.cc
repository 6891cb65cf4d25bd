#include "storage/tables.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace shadow::storage {
namespace {

constexpr char kPutResource[] =
    "INSERT INTO resources(name, kind, data) VALUES(?1, ?2, ?3) "
    "ON CONFLICT(name) DO UPDATE SET kind = excluded.kind, data = excluded.data";
constexpr char kEraseResource[] =
    "DELETE FROM resources WHERE name = ?1 OR name = 'forecasters/' || ?1";
constexpr char kAddEvent[] =
    "INSERT INTO events(revision, time_ns, name, data) VALUES(?1, ?2, ?3, ?4)";
constexpr char kAddDecision[] =
    "INSERT INTO decisions(id, pool, time_ns, data) VALUES(?1, ?2, ?3, ?4)";
// An id may come again once its first answer has expired, whether or not it was pruned.
constexpr char kPutRequest[] =
    "INSERT OR REPLACE INTO requests(request_id, time_ns, data) VALUES(?1, ?2, ?3)";
// The present epoch has no last revision, and keeps none.
constexpr char kPutEpoch[] =
    "INSERT INTO epochs(epoch, last_revision) VALUES(?1, ?2) ON CONFLICT(epoch) DO UPDATE "
    "SET last_revision = max(last_revision, excluded.last_revision)";
constexpr char kSavepoint[] = "SAVEPOINT batch";
constexpr char kRelease[] = "RELEASE batch";
constexpr char kUndo[] = "ROLLBACK TO batch";

constexpr int64_t kNanosPerSecond = 1'000'000'000;

std::string DnaRevisionName(const v1::Dna& dna) {
  return absl::StrCat(dna.name(), "@", dna.revision());
}

// Beside its pool's own row; erased with it (kEraseResource).
std::string ForecasterName(const std::string& pool) { return absl::StrCat("forecasters/", pool); }

absl::Status Missing(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("a record to be stored has no ", what));
}

}  // namespace

int64_t ToNanos(const google::protobuf::Timestamp& time) {
  return absl::ToUnixNanos(absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()));
}

int64_t ToNanos(absl::Time time) { return absl::ToUnixNanos(time); }

google::protobuf::Timestamp FromNanos(int64_t time_ns) {
  int64_t seconds = time_ns / kNanosPerSecond;
  int64_t nanos = time_ns % kNanosPerSecond;
  if (nanos < 0) {  // A Timestamp's nanos count forward, also before the epoch.
    --seconds;
    nanos += kNanosPerSecond;
  }
  google::protobuf::Timestamp time;
  time.set_seconds(seconds);
  time.set_nanos(static_cast<int32_t>(nanos));
  return time;
}

absl::Status CheckBatch(const v1::WriteBatch& batch) {
  for (const auto& record : batch.put_dnas()) {
    if (record.dna().name().empty()) return Missing("dna.name");
    if (record.dna().revision().empty()) return Missing("dna.revision");
  }
  for (const auto& record : batch.put_pools()) {
    if (record.name().empty()) return Missing("pool.name");
  }
  for (const auto& record : batch.put_shadows()) {
    if (record.shadow().name().empty()) return Missing("shadow.name");
  }
  for (const auto& record : batch.put_instances()) {
    if (record.instance().name().empty()) return Missing("instance.name");
  }
  for (const auto& record : batch.put_forecasters()) {
    if (record.pool().empty()) return Missing("forecaster.pool");
  }
  for (const auto& past : batch.put_epochs()) {
    if (past.epoch().empty()) return Missing("past_epoch.epoch");
  }
  for (const auto& event : batch.events()) {
    if (event.revision() <= 0) return Missing("event.revision above 0");
  }
  for (const auto& decision : batch.decisions()) {
    if (decision.id() <= 0) return Missing("decision.id above 0");
  }
  for (const auto& request : batch.requests()) {
    if (request.request_id().empty()) return Missing("request.request_id");
  }
  for (const auto& samples : batch.samples()) {
    if (samples.pool().empty()) return Missing("samples.pool");
    for (const auto& sample : samples.samples()) {
      if (!std::isfinite(sample.value())) return Missing("finite sample.value");
    }
  }
  return absl::OkStatus();
}

bool IsPoolName(std::string_view name) {
  return name.starts_with("pools/") && name.find('/') == name.rfind('/');
}

bool ErasesPool(const v1::WriteBatch& batch) {
  return std::any_of(batch.erase().begin(), batch.erase().end(), IsPoolName);
}

bool HasState(const v1::WriteBatch& batch) {
  return batch.put_dnas_size() + batch.put_pools_size() + batch.put_shadows_size() +
             batch.put_instances_size() + batch.erase_size() + batch.events_size() +
             batch.decisions_size() + batch.requests_size() + batch.put_forecasters_size() +
             batch.put_epochs_size() >
         0;
}

absl::StatusOr<StateTables> StateTables::Prepare(Connection& state) {
  StateTables tables;
  const std::pair<const char*, Statement*> statements[] = {
      {kPutResource, &tables.put_},
      {kEraseResource, &tables.erase_},
      {kAddEvent, &tables.add_event_},
      {kAddDecision, &tables.add_decision_},
      {kPutRequest, &tables.put_request_},
      {kPutEpoch, &tables.put_epoch_},
      {kSavepoint, &tables.savepoint_},
      {kRelease, &tables.release_},
      {kUndo, &tables.undo_},
  };
  for (const auto& [sql, statement] : statements) {
    if (absl::Status status = state.PrepareInto(sql, *statement); !status.ok()) return status;
  }
  return tables;
}

absl::Status StateTables::Apply(const v1::WriteBatch& batch) {
  if (absl::Status status = savepoint_.Run(); !status.ok()) return status;
  absl::Status applied = ApplyAll(batch);
  if (absl::IsInvalidArgument(applied)) {
    if (absl::Status status = undo_.Run(); !status.ok()) return status;
  } else if (!applied.ok()) {
    return applied;
  }
  if (absl::Status status = release_.Run(); !status.ok()) return status;
  return applied;
}

absl::Status StateTables::ApplyAll(const v1::WriteBatch& batch) {
  absl::Status status = PutResources(batch);
  for (int i = 0; status.ok() && i < batch.erase_size(); ++i) {
    erase_.BindText(1, batch.erase(i));
    status = erase_.Run();
  }
  for (int i = 0; status.ok() && i < batch.events_size(); ++i) {
    const v1::Event& event = batch.events(i);
    add_event_.Bind(1, event.revision());
    add_event_.Bind(2, ToNanos(event.time()));
    add_event_.BindText(3, event.name());
    add_event_.BindBlob(4, event.SerializeAsString());
    status = add_event_.Run();
  }
  for (int i = 0; status.ok() && i < batch.decisions_size(); ++i) {
    const v1::Decision& decision = batch.decisions(i);
    add_decision_.Bind(1, decision.id());
    add_decision_.BindText(2, decision.pool());
    add_decision_.Bind(3, ToNanos(decision.time()));
    add_decision_.BindBlob(4, decision.SerializeAsString());
    status = add_decision_.Run();
  }
  for (int i = 0; status.ok() && i < batch.requests_size(); ++i) {
    const v1::RequestRecord& request = batch.requests(i);
    put_request_.BindText(1, request.request_id());
    put_request_.Bind(2, ToNanos(request.time()));
    put_request_.BindBlob(3, request.SerializeAsString());
    status = put_request_.Run();
  }
  for (int i = 0; status.ok() && i < batch.put_epochs_size(); ++i) {
    put_epoch_.BindText(1, batch.put_epochs(i).epoch());
    put_epoch_.Bind(2, batch.put_epochs(i).last_revision());
    status = put_epoch_.Run();
  }
  return status;
}

absl::Status StateTables::PutResources(const v1::WriteBatch& batch) {
  absl::Status status;
  for (int i = 0; status.ok() && i < batch.put_dnas_size(); ++i) {
    const v1::DnaRecord& record = batch.put_dnas(i);
    status = Put(DnaRevisionName(record.dna()), ResourceKind::kDna, record.SerializeAsString());
  }
  for (int i = 0; status.ok() && i < batch.put_pools_size(); ++i) {
    const v1::StoredPool& stored = batch.put_pools(i);
    status = Put(stored.name(), ResourceKind::kPool, stored.record());
  }
  for (int i = 0; status.ok() && i < batch.put_shadows_size(); ++i) {
    const v1::ShadowRecord& record = batch.put_shadows(i);
    status = Put(record.shadow().name(), ResourceKind::kShadow, record.SerializeAsString());
  }
  for (int i = 0; status.ok() && i < batch.put_instances_size(); ++i) {
    const v1::InstanceRecord& record = batch.put_instances(i);
    status = Put(record.instance().name(), ResourceKind::kInstance, record.SerializeAsString());
  }
  for (int i = 0; status.ok() && i < batch.put_forecasters_size(); ++i) {
    const v1::ForecasterRecord& record = batch.put_forecasters(i);
    status =
        Put(ForecasterName(record.pool()), ResourceKind::kForecaster, record.SerializeAsString());
  }
  return status;
}

absl::Status StateTables::Put(std::string_view name, ResourceKind kind, std::string_view record) {
  put_.BindText(1, name);
  put_.Bind(2, static_cast<int64_t>(kind));
  put_.BindBlob(3, record);
  return put_.Run();
}

}  // namespace shadow::storage
