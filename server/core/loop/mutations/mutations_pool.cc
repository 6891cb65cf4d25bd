// Pools: create, update, delete; and what all mutations share.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/util/field_mask_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/core/error.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/balancing/balancing.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/learning/scoring.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/pool_open.h"
#include "server/core/loop/pool_work.h"
#include "server/core/names.h"
#include "server/core/spec/kinds.h"
#include "server/core/spec/output_fields.h"
#include "server/core/spec/override_check.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr size_t kPoolsMax = 10'000;

// The full name of the revision that `dna` names now. To be asked last: who checks a pool together
// with a DNA that is yet to be created takes this error alone for none.
absl::StatusOr<std::string> ResolveDna(const World& world, const std::string& dna) {
  const auto name = ParseDnaName(dna, "pool.dna");
  if (!name.ok()) return name.status();
  const auto found = world.dnas.find(name->dna);
  if (found == world.dnas.end()) {
    return FieldError("pool.dna", absl::StrCat(dna, " does not exist; create it first"),
                      absl::StatusCode::kNotFound);
  }
  const std::string& revision = name->revision.empty() ? found->second.newest : name->revision;
  if (!found->second.revisions.contains(revision)) {
    return FieldError("pool.dna", absl::StrCat("dnas/", name->dna, " has no revision ", revision),
                      absl::StatusCode::kNotFound);
  }
  return absl::StrCat("dnas/", name->dna, "@", revision);
}

// Keeps the output-only fields of `from` over an update of the spec. The score belongs to the old
// spec, and slots belong to the old balancer.
void KeepOutput(const v1::Pool& from, v1::Pool& pool) {
  CopyOutputOnly(from, pool);
  pool.clear_observe_score();
  if (!MessageDifferencer::Equals(from.balancer(), pool.balancer())) pool.clear_balancer_slots();
}

absl::Status CheckUpdate(const PoolEntry& pool, const CompiledPool& update) {
  const v1::Pool& old = pool.spec->pool;
  if (pool.record.pool().state() == v1::Pool::DELETING) {
    return ReasonError(absl::StatusCode::kFailedPrecondition, "POOL_DELETING",
                       absl::StrCat(old.name(), " is DELETING; an update needs READY"));
  }
  if (update.step != pool.spec->step || update.season_lengths != pool.spec->season_lengths) {
    return FieldError(update.step != pool.spec->step ? "pool.step" : "pool.season_lengths",
                      "cannot be changed: the history is kept on this grid; delete the pool and "
                      "create it anew",
                      absl::StatusCode::kFailedPrecondition);
  }
  if (pool.members.empty()) return absl::OkStatus();
  const bool same_provider = MessageDifferencer::Equals(update.pool.provider(), old.provider());
  if (!same_provider || !MessageDifferencer::Equals(update.pool.balancer(), old.balancer())) {
    return FieldError(same_provider ? "pool.balancer" : "pool.provider",
                      "cannot be changed while the pool has instances",
                      absl::StatusCode::kFailedPrecondition);
  }
  return absl::OkStatus();
}

absl::Status CheckBalancerFree(const World& world, std::string_view id, const v1::Pool& pool) {
  for (const auto& [other_id, other] : world.pools) {
    if (other_id == id) continue;
    absl::Status free =
        CheckNoConflict(pool.balancer(), other.spec->pool.balancer(), other.spec->pool.name());
    if (!free.ok()) return free;
  }
  return absl::OkStatus();
}

// What others than now were asked counts for nothing, and they are asked at once.
void ForgetAnswers(PoolEntry& pool, const v1::Pool& before, const v1::Pool& after, Instant now) {
  if (!MessageDifferencer::Equals(before.balancer(), after.balancer())) {
    ForgetBalancer(pool, now.mono);
  }
  const bool same_sources =
      std::equal(before.usage_sources().begin(), before.usage_sources().end(),
                 after.usage_sources().begin(), after.usage_sources().end(),
                 [](const auto& a, const auto& b) { return MessageDifferencer::Equals(a, b); });
  if (same_sources) return;
  pool.demand.usage_effect.reset();
  pool.demand.usage_read = absl::OkStatus();
}

std::string UpdateMessage(const v1::Pool& before, const v1::Pool& after) {
  if (before.rollout_paused() == after.rollout_paused()) return "updated";
  return after.rollout_paused() ? "updated; its rollout is paused" : "updated; its rollout goes on";
}

void SetSpec(Changes& changes, PoolEntry& pool, CompiledPool compiled,
             const std::string& dna_revision) {
  v1::Pool& proto = *pool.record.mutable_pool();
  const v1::Pool before = proto;
  *changes.batch().add_put_specs() = compiled.pool;
  proto = compiled.pool;
  KeepOutput(before, proto);
  ForgetAnswers(pool, before, proto, changes.now());
  proto.set_dna_revision(dna_revision);
  proto.set_etag(absl::StrCat(changes.world().revision + 1));
  pool.spec = std::make_shared<const CompiledPool>(std::move(compiled));
  AddProvider(changes.world(), pool.spec->provider, changes.now().mono);
  ShowLeads(pool, proto);
  CountPool(changes.world(), pool);
  ShowLimits(changes.world(), pool);
}

}  // namespace

absl::StatusOr<PoolEntry*> FindPool(World& world, std::string_view name, std::string_view field) {
  const auto id = ParsePoolName(name, field);
  if (!id.ok()) return id.status();
  const auto found = world.pools.find(*id);
  if (found == world.pools.end()) {
    return PoolNotFound(name);
  }
  return &found->second;
}

absl::Status CheckEtag(std::string_view given, std::string_view current, std::string_view name) {
  if (given.empty() || given == current) return absl::OkStatus();
  return ReasonError(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                     absl::StrCat(std::string(name), " was changed meanwhile: its etag is \"",
                                  std::string(current), "\"; read it again"));
}

absl::Status MergeMasked(const google::protobuf::Message& update,
                         const google::protobuf::FieldMask& mask,
                         google::protobuf::Message& message) {
  if (mask.paths().empty()) {
    message.CopyFrom(update);
    return absl::OkStatus();
  }
  const auto* descriptor = message.GetDescriptor();
  for (const std::string& path : mask.paths()) {
    const auto* field = descriptor->FindFieldByName(path);
    if (field == nullptr) {
      return FieldError("update_mask",
                        absl::StrCat("\"", path, "\" is no field of ", descriptor->name()));
    }
    if (IsOutputOnly(*field)) {
      return FieldError("update_mask", absl::StrCat("\"", path, "\" is output only"));
    }
    message.GetReflection()->ClearField(&message, field);
  }
  google::protobuf::util::FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(update, mask, options, &message);
  return absl::OkStatus();
}

Answer Execute(Changes& changes, const v1::CreatePoolRequest& request) {
  World& world = changes.world();
  auto compiled = CompilePool(request.pool());
  if (!compiled.ok()) return compiled.status();
  if (absl::Status kept = CheckOverrides(*compiled); !kept.ok()) return kept;
  const auto id = ParsePoolName(request.pool().name(), "pool.name");
  if (!id.ok()) return id.status();
  const auto found = world.pools.find(*id);
  if (found != world.pools.end()) {
    return ReasonError(
        absl::StatusCode::kAlreadyExists, "POOL_EXISTS",
        absl::StrCat(
            request.pool().name(), " already exists",
            found->second.record.pool().state() == v1::Pool::DELETING ? " and is DELETING" : ""));
  }
  if (world.pools.size() >= kPoolsMax) {
    return ReasonError(absl::StatusCode::kResourceExhausted, "TOO_MANY_POOLS",
                       absl::StrCat("there are ", kPoolsMax, " pools already"));
  }
  const absl::Status free = CheckBalancerFree(world, *id, compiled->pool);
  if (!free.ok()) return free;
  const auto dna = ResolveDna(world, compiled->pool.dna());
  if (!dna.ok()) return dna.status();
  if (request.validate_only()) {
    v1::Pool preview = compiled->pool;
    preview.set_state(v1::Pool::READY);
    preview.set_dna_revision(*dna);
    return AnswerWith(std::move(preview));
  }
  PoolEntry& pool = world.pools[*id];
  pool.id = *id;
  pool.record.mutable_pool()->set_state(v1::Pool::READY);
  *pool.record.mutable_pool()->mutable_create_time() = ToProto(changes.now().wall);
  SetSpec(changes, pool, *std::move(compiled), *dna);
  OpenPool(changes.world(), pool, changes.now());
  changes.Put(pool, v1::Event::CREATED, "created");
  return AnswerWith(pool.record.pool());
}

Answer Execute(Changes& changes, const v1::UpdatePoolRequest& request) {
  World& world = changes.world();
  const auto found = FindPool(world, request.pool().name(), "pool.name");
  if (absl::IsNotFound(found.status()) && request.allow_missing()) {
    v1::CreatePoolRequest create;
    *create.mutable_pool() = request.pool();
    create.set_validate_only(request.validate_only());
    return Execute(changes, create);
  }
  if (!found.ok()) return found.status();
  PoolEntry& pool = **found;
  const v1::Pool& current = pool.record.pool();
  const absl::Status etag = CheckEtag(request.pool().etag(), current.etag(), current.name());
  if (!etag.ok()) return etag;
  v1::Pool merged = current;
  const absl::Status masked = MergeMasked(request.pool(), request.update_mask(), merged);
  if (!masked.ok()) return masked;
  auto compiled = CompilePool(merged);
  if (!compiled.ok()) return compiled.status();
  if (absl::Status kept = CheckOverrides(*compiled); !kept.ok()) return kept;
  const absl::Status allowed = CheckUpdate(pool, *compiled);
  if (!allowed.ok()) return allowed;
  const absl::Status free = CheckBalancerFree(world, pool.id, compiled->pool);
  if (!free.ok()) return free;
  auto dna = ResolveDna(world, compiled->pool.dna());
  if (!dna.ok()) return dna.status();
  if (MessageDifferencer::Equals(compiled->pool, pool.spec->pool)) return AnswerWith(current);
  if (compiled->pool.rollout_paused()) dna = current.dna_revision();
  if (request.validate_only()) {
    v1::Pool preview = compiled->pool;
    KeepOutput(current, preview);
    preview.set_dna_revision(*dna);
    return AnswerWith(std::move(preview));
  }
  const std::string message = UpdateMessage(pool.spec->pool, compiled->pool);
  SetSpec(changes, pool, *std::move(compiled), *dna);
  OpenForecasts(pool);     // Calendar, base or target may be others.
  SaveNow(changes, pool);  // What was saved for those begins again elsewhere.
  pool.timers.next_activation = changes.now().mono;
  ScheduleScore(pool, changes.now());
  changes.Put(pool, v1::Event::UPDATED, message);
  return AnswerWith(pool.record.pool());
}

Answer Execute(Changes& changes, const v1::DeletePoolRequest& request) {
  const auto found = FindPool(changes.world(), request.name(), "name");
  if (!found.ok()) return found.status();
  PoolEntry& pool = **found;
  const v1::Pool& current = pool.record.pool();
  const absl::Status etag = CheckEtag(request.etag(), current.etag(), current.name());
  if (!etag.ok()) return etag;
  for (const auto& [id, shadow] : pool.shadows) {
    const v1::ShadowPool& proto = shadow.record.shadow();
    const bool serves =
        proto.serving_instances() > 0 || proto.state() == v1::ShadowPool::DEACTIVATING;
    if (serves || (proto.target_activation_level() > 0 && !shadow.record.deleting())) {
      return ReasonError(
          absl::StatusCode::kFailedPrecondition, "SHADOW_ACTIVE",
          absl::StrCat(current.name(), " has the active ", proto.name(),
                       "; set its level to 0 or delete it, and wait until nothing serves"));
    }
  }
  if (request.validate_only() || current.state() == v1::Pool::DELETING) return AnswerWith(current);
  pool.record.mutable_pool()->set_state(v1::Pool::DELETING);
  for (auto& [id, shadow] : pool.shadows) SetDeleting(changes.world(), pool, shadow, true);
  changes.Put(pool, v1::Event::UPDATED, "DELETING");
  for (auto& [id, shadow] : pool.shadows) {
    changes.Put(pool, shadow, v1::Event::UPDATED, "its pool is deleted");
  }
  return AnswerWith(pool.record.pool());
}

}  // namespace shadow
