#include "storage/migrations/pool_migration.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/unknown_field_set.h"
#include "shadow/v1/record.pb.h"
#include "storage/tables.h"

namespace shadow::storage {
namespace {

constexpr int kProviderName = 3;  // Of Pool, then.

}  // namespace

absl::Status DropProviderNames(Connection& state) {
  absl::StatusOr<Statement> read = state.Prepare("SELECT id, data FROM resources WHERE kind = ?1");
  if (!read.ok()) return read.status();
  absl::StatusOr<Statement> write = state.Prepare("UPDATE resources SET data = ?2 WHERE id = ?1");
  if (!write.ok()) return write.status();
  read->Bind(1, static_cast<int64_t>(ResourceKind::kPool));
  std::vector<std::pair<int64_t, std::string>> changed;
  while (true) {
    const absl::StatusOr<bool> row = read->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    v1::PoolRecord record;
    if (!record.ParseFromString(std::string(read->Bytes(1)))) continue;  // The start names it.
    v1::Pool& pool = *record.mutable_pool();
    pool.GetReflection()->MutableUnknownFields(&pool)->DeleteByNumber(kProviderName);
    changed.emplace_back(read->Integer(0), record.SerializeAsString());
  }
  for (const auto& [id, data] : changed) {
    write->Bind(1, id);
    write->BindBlob(2, data);
    if (absl::Status status = write->Run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace shadow::storage
