// Shadow pools by hand.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/error.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/planning.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

constexpr absl::Duration kHoldDefault = absl::Hours(1);
constexpr absl::Duration kHoldMax = absl::Hours(24 * 30);

struct Found {
  PoolEntry* pool;
  ShadowEntry* shadow;
};

absl::StatusOr<Found> FindShadow(World& world, std::string_view name, std::string_view field) {
  const auto parsed = ParseShadowName(name, field);
  if (!parsed.ok()) return parsed.status();
  const auto pool = world.pools.find(parsed->pool);
  if (pool != world.pools.end()) {
    const auto shadow = pool->second.shadows.find(parsed->shadow);
    if (shadow != pool->second.shadows.end()) return Found{&pool->second, &shadow->second};
  }
  return ReasonError(absl::StatusCode::kNotFound, "SHADOW_POOL_NOT_FOUND",
                     absl::StrCat(std::string(name), " does not exist"));
}

absl::StatusOr<absl::Duration> HoldOf(bool given, const google::protobuf::Duration& proto) {
  if (!given) return kHoldDefault;
  const absl::Duration hold = FromProto(proto);
  if (hold < absl::ZeroDuration() || hold > kHoldMax) {
    return FieldError("hold_duration", absl::StrCat(absl::FormatDuration(hold),
                                                    " is not between 0 (no hold) and 30 days"));
  }
  return hold;
}

std::string Until(absl::Time time) {
  return absl::StrCat("until ", absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone()));
}

// Returns what the event of the new target says of it.
std::string SetHold(Changes& changes, S& shadow, absl::Duration hold) {
  if (hold > absl::ZeroDuration()) {
    const absl::Time until = changes.now().wall + hold;
    *shadow.mutable_hold_until_time() = ToProto(until);
    return absl::StrCat("; held ", Until(until));
  }
  const bool was_held = shadow.has_hold_until_time();
  shadow.clear_hold_until_time();
  return was_held ? "; no longer held" : "";
}

absl::Status CheckAlive(const ShadowEntry& shadow, std::string_view verb) {
  if (!shadow.record.deleting()) return absl::OkStatus();
  return ReasonError(absl::StatusCode::kFailedPrecondition, "SHADOW_POOL_DELETING",
                     absl::StrCat(shadow.record.shadow().name(), " is DELETING; ",
                                  std::string(verb), " needs one that is not"));
}

absl::Status CheckSize(const PoolEntry& pool, int instances, std::string_view field) {
  const int maximum = pool.spec->pool.policy().max_shadow_instances();
  if (instances >= 1 && instances <= maximum) return absl::OkStatus();
  return FieldError(field, absl::StrCat(instances, " instances; wanted 1 to ", maximum,
                                        " (pool.policy.max_shadow_instances)"));
}

}  // namespace

Answer Execute(Changes& changes, const v1::CreateShadowPoolRequest& request) {
  const auto found = FindPool(changes.world(), request.pool(), "pool");
  if (!found.ok()) return found.status();
  PoolEntry& pool = **found;
  const double increase = request.predicted_demand_increase();
  if (!std::isfinite(increase) || increase < 0) {
    return FieldError("predicted_demand_increase",
                      absl::StrFormat("%g is not a finite number of at least 0", increase));
  }
  const auto hold = HoldOf(request.has_hold_duration(), request.hold_duration());
  if (!hold.ok()) return hold.status();
  if (pool.record.pool().state() == v1::Pool::DELETING) {
    return ReasonError(absl::StatusCode::kFailedPrecondition, "POOL_DELETING",
                       absl::StrCat(request.pool(), " is DELETING; a shadow pool needs READY"));
  }
  if (const ShadowEntry* existing = CurrentShadow(pool); existing != nullptr) {
    const S& proto = existing->record.shadow();
    return ReasonError(absl::StatusCode::kAlreadyExists, "SHADOW_POOL_EXISTS",
                       absl::StrCat(proto.name(), " exists for ", proto.dna_revision(), " and is ",
                                    S::State_Name(proto.state())));
  }
  const int size =
      SizeByHand(pool.demand.value.value_or(0), increase, pool.spec->base_capacity_per_spec,
                 pool.spec->pool.instance_capacity());
  const absl::Status fits = CheckSize(pool, size, "predicted_demand_increase");
  if (!fits.ok()) return fits;
  if (request.validate_only()) {
    S preview;
    preview.set_name(ShadowPoolName(pool.id, CurrentShadowId(pool)));
    preview.set_state(S::CREATING);
    preview.set_dna_revision(pool.record.pool().dna_revision());
    preview.set_target_instances(size);
    SetHold(changes, preview, *hold);
    return AnswerWith(std::move(preview));
  }
  pool.record.mutable_pool()->clear_hold_until_time();
  changes.Keep(pool);
  ShadowEntry& shadow = AddShadow(changes, pool);
  const std::string held = SetHold(changes, *shadow.record.mutable_shadow(), *hold);
  SetTarget(changes, pool, shadow, {.instances = size, .kind = v1::Event::CREATED},
            absl::StrFormat("created by hand for an increase of %g: %d instances%s", increase, size,
                            held));
  return AnswerWith(shadow.record.shadow());
}

Answer Execute(Changes& changes, const v1::UpdateShadowPoolRequest& request) {
  const auto found = FindShadow(changes.world(), request.shadow_pool().name(), "shadow_pool.name");
  if (!found.ok()) return found.status();
  auto& [pool, shadow] = *found;
  S& proto = *shadow->record.mutable_shadow();
  const int instances = request.shadow_pool().target_instances();
  const absl::Status fits = CheckSize(*pool, instances, "shadow_pool.target_instances");
  if (!fits.ok()) return fits;
  const auto hold = HoldOf(request.has_hold_duration(), request.hold_duration());
  if (!hold.ok()) return hold.status();
  const absl::Status etag = CheckEtag(request.shadow_pool().etag(), proto.etag(), proto.name());
  if (!etag.ok()) return etag;
  const absl::Status alive = CheckAlive(*shadow, "UpdateShadowPool");
  if (!alive.ok()) return alive;
  if (request.validate_only()) return AnswerWith(proto);
  const std::string held = SetHold(changes, proto, *hold);
  SetTarget(changes, *pool, *shadow,
            {.instances = instances, .level = proto.target_activation_level()},
            absl::StrCat("resized by hand to ", instances, " instances", held));
  return AnswerWith(proto);
}

Answer Execute(Changes& changes, const v1::ActivateShadowPoolRequest& request) {
  if (!request.has_activation_level() || request.activation_level() < 0 ||
      request.activation_level() > 100) {
    return FieldError("activation_level",
                      request.has_activation_level()
                          ? absl::StrCat(request.activation_level(), " is not between 0 and 100")
                          : std::string("is missing; wanted 0 to 100"));
  }
  const auto found = FindShadow(changes.world(), request.name(), "name");
  if (!found.ok()) return found.status();
  auto& [pool, shadow] = *found;
  S& proto = *shadow->record.mutable_shadow();
  const auto hold = HoldOf(request.has_hold_duration(), request.hold_duration());
  if (!hold.ok()) return hold.status();
  const absl::Status etag = CheckEtag(request.etag(), proto.etag(), proto.name());
  if (!etag.ok()) return etag;
  const absl::Status alive = CheckAlive(*shadow, "ActivateShadowPool");
  if (!alive.ok()) return alive;
  if (request.validate_only()) return AnswerWith(proto);
  const std::string held = SetHold(changes, proto, *hold);
  SetTarget(changes, *pool, *shadow,
            {.instances = proto.target_instances(), .level = request.activation_level()},
            absl::StrCat("activation level set by hand to ", request.activation_level(), held));
  return AnswerWith(proto);
}

Answer Execute(Changes& changes, const v1::DeleteShadowPoolRequest& request) {
  const auto found = FindShadow(changes.world(), request.name(), "name");
  if (!found.ok()) return found.status();
  auto& [pool, shadow] = *found;
  S& proto = *shadow->record.mutable_shadow();
  const auto hold = HoldOf(request.has_hold_duration(), request.hold_duration());
  if (!hold.ok()) return hold.status();
  const absl::Status etag = CheckEtag(request.etag(), proto.etag(), proto.name());
  if (!etag.ok()) return etag;
  if (request.validate_only()) return AnswerWith(proto);
  if (*hold > absl::ZeroDuration()) {
    const absl::Time until = changes.now().wall + *hold;
    *pool->record.mutable_pool()->mutable_hold_until_time() = ToProto(until);
    changes.Put(*pool, v1::Event::UPDATED,
                absl::StrCat("a deleted shadow pool is not created again ", Until(until)));
  }
  proto.clear_hold_until_time();
  SetDeleting(changes.world(), *pool, *shadow, true);
  changes.Put(*pool, *shadow, v1::Event::UPDATED, "deleted by hand");
  return AnswerWith(proto);
}

Answer Execute(Changes& changes, const v1::ReleaseHoldRequest& request) {
  if (request.name().find("/shadowPools/") == std::string::npos) {
    const auto found = FindPool(changes.world(), request.name(), "name");
    if (!found.ok()) return found.status();
    PoolEntry& pool = **found;
    if (!request.validate_only() && pool.record.pool().has_hold_until_time()) {
      pool.record.mutable_pool()->clear_hold_until_time();
      changes.Put(pool, v1::Event::UPDATED, "hold released");
    }
    return AnswerWith(v1::ReleaseHoldResponse());
  }
  const auto found = FindShadow(changes.world(), request.name(), "name");
  if (!found.ok()) return found.status();
  S& proto = *found->shadow->record.mutable_shadow();
  if (!request.validate_only() && proto.has_hold_until_time()) {
    proto.clear_hold_until_time();
    changes.Put(*found->pool, *found->shadow, v1::Event::UPDATED, "hold released");
  }
  return AnswerWith(v1::ReleaseHoldResponse());
}

}  // namespace shadow
