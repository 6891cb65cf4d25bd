// DNA: create, update, delete.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/field_mask.pb.h"
#include "server/core/error.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr size_t kRevisionsMax = 1000;  // Of one DNA.

absl::Status NotFound(std::string_view name) {
  return ReasonError(absl::StatusCode::kNotFound, "DNA_NOT_FOUND",
                     absl::StrCat(std::string(name), " does not exist"));
}

absl::StatusOr<std::string> DnaId(std::string_view name, std::string_view field) {
  auto parsed = ParseDnaName(name, field);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->revision.empty()) {
    return FieldError(
        field, absl::StrCat("\"", std::string(name), "\" names a revision; wanted dnas/{dna}"));
  }
  return parsed->dna;
}

// Pools that follow the newest revision take it over; their instances are replaced by Settle.
void FollowNewest(Changes& changes, const std::string& dna_name, const std::string& revision) {
  for (auto& [id, pool] : changes.world().pools) {
    if (pool.record.pool().dna() != dna_name || pool.spec->pool.rollout_paused()) continue;
    pool.record.mutable_pool()->set_dna_revision(revision);
    changes.Put(pool, v1::Event::UPDATED, absl::StrCat("takes over ", revision));
  }
}

// Stores `compiled` as the newest revision of `id`.
v1::Dna Store(Changes& changes, const std::string& id, CompiledDna compiled) {
  World& world = changes.world();
  DnaEntry& entry = world.dnas[id];
  const bool exists = !entry.revisions.empty();
  v1::Dna& dna = compiled.dna;
  const auto now = ToProto(changes.now().wall);
  *dna.mutable_create_time() = exists ? entry.revisions.at(entry.newest).create_time() : now;
  *dna.mutable_update_time() = now;
  if (exists) *dna.mutable_revisions() = entry.revisions.at(entry.newest).revisions();
  const auto known = std::find(dna.revisions().begin(), dna.revisions().end(), dna.revision());
  if (known != dna.revisions().end()) dna.mutable_revisions()->erase(known);
  dna.add_revisions(dna.revision());
  dna.set_etag(dna.revision());
  entry.newest = dna.revision();
  entry.revisions[dna.revision()] = dna;
  changes.Put(dna, exists ? v1::Event::UPDATED : v1::Event::CREATED,
              absl::StrCat("revision ", dna.revision()));
  const v1::Dna stored = dna;
  const std::string revision_name = compiled.revision_name;
  world.compiled[revision_name] = std::make_shared<const CompiledDna>(std::move(compiled));
  FollowNewest(changes, stored.name(), revision_name);
  return stored;
}

}  // namespace

Answer Execute(Changes& changes, const v1::CreateDnaRequest& request) {
  const auto id = DnaId(request.dna().name(), "dna.name");
  if (!id.ok()) return id.status();
  auto compiled = CompileDna(request.dna());
  if (!compiled.ok()) return compiled.status();
  if (changes.world().dnas.contains(*id)) {
    return ReasonError(
        absl::StatusCode::kAlreadyExists, "DNA_EXISTS",
        absl::StrCat(request.dna().name(), " already exists; UpdateDna adds a revision"));
  }
  if (request.validate_only()) return AnswerWith(compiled->dna);
  return AnswerWith(Store(changes, *id, *std::move(compiled)));
}

Answer Execute(Changes& changes, const v1::UpdateDnaRequest& request) {
  const auto id = DnaId(request.dna().name(), "dna.name");
  if (!id.ok()) return id.status();
  const auto found = changes.world().dnas.find(*id);
  if (found == changes.world().dnas.end()) {
    if (!request.allow_missing()) return NotFound(request.dna().name());
    v1::CreateDnaRequest create;
    *create.mutable_dna() = request.dna();
    create.set_validate_only(request.validate_only());
    return Execute(changes, create);
  }
  const v1::Dna& current = found->second.revisions.at(found->second.newest);
  const absl::Status etag = CheckEtag(request.dna().etag(), current.etag(), current.name());
  if (!etag.ok()) return etag;
  v1::Dna merged = current;
  const absl::Status masked = MergeMasked(request.dna(), request.update_mask(), merged);
  if (!masked.ok()) return masked;
  auto compiled = CompileDna(merged);
  if (!compiled.ok()) return compiled.status();
  if (compiled->dna.revision() == current.revision()) return AnswerWith(current);
  if (found->second.revisions.size() >= kRevisionsMax) {
    return ReasonError(absl::StatusCode::kResourceExhausted, "TOO_MANY_REVISIONS",
                       absl::StrCat(current.name(), " has ", kRevisionsMax, " revisions already"));
  }
  if (request.validate_only()) return AnswerWith(compiled->dna);
  return AnswerWith(Store(changes, *id, *std::move(compiled)));
}

Answer Execute(Changes& changes, const v1::DeleteDnaRequest& request) {
  const auto id = DnaId(request.name(), "name");
  if (!id.ok()) return id.status();
  World& world = changes.world();
  const auto found = world.dnas.find(*id);
  if (found == world.dnas.end()) return NotFound(request.name());
  const v1::Dna newest = found->second.revisions.at(found->second.newest);
  const absl::Status etag = CheckEtag(request.etag(), newest.etag(), request.name());
  if (!etag.ok()) return etag;
  for (const auto& [pool_id, pool] : world.pools) {
    const std::string& named = pool.record.pool().dna();
    const std::string prefix = newest.name() + "@";
    const bool used =
        named == newest.name() || named.starts_with(prefix) ||
        // While its rollout is paused it may be of another DNA than it names.
        pool.record.pool().dna_revision().starts_with(prefix) ||
        std::any_of(pool.members.begin(), pool.members.end(),
                    [&](const auto& entry) {
                      return entry.second.record.instance().dna_revision().starts_with(prefix);
                    }) ||
        // One without members may yet make some.
        std::any_of(pool.shadows.begin(), pool.shadows.end(), [&](const auto& entry) {
          return entry.second.record.shadow().dna_revision().starts_with(prefix);
        });
    if (used) {
      return ReasonError(absl::StatusCode::kFailedPrecondition, "DNA_IN_USE",
                         absl::StrCat(newest.name(), " is used by ", pool.record.pool().name()));
    }
  }
  if (request.validate_only()) return AnswerWith(google::protobuf::Empty());
  for (const auto& [revision, dna] : found->second.revisions) {
    changes.Erase(dna);
    world.compiled.erase(absl::StrCat(dna.name(), "@", revision));
  }
  changes.Note(v1::Event::DELETED, newest.name(), "deleted");
  world.dnas.erase(found);
  return AnswerWith(google::protobuf::Empty());
}

}  // namespace shadow
