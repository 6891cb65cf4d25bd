#include "server/core/loop/planning.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/status/count_figures.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/spec/bounds.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using D = v1::Decision;

// Most decisions change nothing, and are never put in words.
std::string Why(const D& decision) {
  return decision.explanation().empty() ? Explain(decision) : decision.explanation();
}

bool Deleting(const PoolEntry& pool) { return pool.record.pool().state() == v1::Pool::DELETING; }

// Of the shadow of the present revision: members that are not verified yet. 0: there is no shadow.
int MissingOf(const ShadowEntry* current) {
  if (current == nullptr) return 0;
  const v1::ShadowPool& proto = current->record.shadow();
  return std::max(
      0, proto.target_instances() - proto.serving_instances() - proto.suspended_instances());
}

// What a shadow of an older revision keeps of its `size` instances while the present one is being
// made: those that are to serve, and one for each that is still missing. So idle ones go first, but
// none before an instance of the present revision has passed its canary, if any has to serve.
int KeptOfOld(const ShadowEntry* current, const D& decision, int size, int serving) {
  if (current == nullptr || current->record.deleting()) return size;
  if (decision.target_active() > 0 && current->record.shadow().serving_instances() == 0) {
    return size;
  }
  return std::min(size, std::max({MissingOf(current), serving, 1}));
}

std::string WhyOldChanges(const D& decision, int serves, int serving, bool shrinks) {
  if (serving > serves) return Why(decision);
  return shrinks ? "gives way to a newer DNA revision"
                 : "gives a slot of the balancer to a newer DNA revision";
}

// Shadows of older revisions go once the present one has taken over, or none is wanted. Until then
// they too serve what is needed, as far as they can and the balancer has slots for both.
void ActOnOld(Changes& changes, PoolEntry& pool, const D& decision) {
  const World& world = changes.world();
  const ShadowEntry* current = CurrentShadow(pool);
  const bool carries = current == nullptr ? decision.target_instances() == 0
                                          : !current->record.shadow().reconciling();
  // Where there is room for no instance more, those that are missing wait for the old ones' end.
  const bool paused = pool.spec->pool.rollout_paused() && decision.target_instances() > 0;
  const bool taken_over =
      !paused && carries && (MissingOf(current) == 0 || world.instances >= world.instances_max);
  int serving_max = OldServingMax(pool);
  // Without a look at the balancer nobody knows whose slots are free.
  const bool slots_known = !pool.spec->has_balancer || pool.balancing.view.has_value();
  for (auto& [id, shadow] : pool.shadows) {
    const v1::ShadowPool& proto = shadow.record.shadow();
    if (&shadow == current || shadow.record.deleting()) continue;
    const int size = proto.target_instances();
    const int serves = ActiveCount(size, proto.target_activation_level());
    if (proto.has_hold_until_time()) {
      serving_max = std::max(0, serving_max - serves);
      continue;
    }
    const int wanted = carries ? 0 : std::max(serves, std::min(size, decision.target_active()));
    const int serving = std::min(wanted, serving_max);
    serving_max -= serving;
    const int kept = paused ? size : KeptOfOld(current, decision, size, serving);
    // Those that serve although the present revision carries the load go last.
    const int active = carries && !paused ? std::min(serves, kept) : serving;
    if (taken_over && decision.kind() == D::SIZE) {
      SetDeleting(changes.world(), pool, shadow, true);
      changes.Put(pool, shadow, v1::Event::UPDATED, "replaced by a newer DNA revision");
    } else if (!taken_over && (active != serves || kept < size) && slots_known) {
      SetTarget(changes, pool, shadow, {.instances = kept, .level = LevelFor(kept, active)},
                WhyOldChanges(decision, serves, active, kept < size));
    }
  }
}

void Act(Changes& changes, PoolEntry& pool, const D& decision) {
  ShadowEntry* shadow = CurrentShadow(pool);
  if (decision.target_instances() == 0) {
    if (shadow != nullptr && !shadow->record.deleting()) {
      SetDeleting(changes.world(), pool, *shadow, true);
      changes.Put(pool, *shadow, v1::Event::UPDATED, Why(decision));
    }
  } else {
    const bool adds = shadow == nullptr;
    if (adds) shadow = &AddShadow(changes, pool);
    const bool revived = shadow->record.deleting();
    SetDeleting(changes.world(), pool, *shadow, false);
    const v1::ShadowPool& proto = shadow->record.shadow();
    if (adds || revived || proto.target_instances() != decision.target_instances() ||
        proto.target_activation_level() != decision.target_activation_level()) {
      SetTarget(changes, pool, *shadow,
                {.instances = decision.target_instances(),
                 .level = decision.target_activation_level(),
                 .kind = adds ? v1::Event::CREATED : v1::Event::UPDATED},
                Why(decision));
    }
  }
  ActOnOld(changes, pool, decision);
}

bool Differs(const PoolEntry& pool, const D& decision) {
  const auto last = pool.planning.last_decisions.find(decision.kind());
  if (last == pool.planning.last_decisions.end()) return true;
  return last->second.target_instances() != decision.target_instances() ||
         last->second.target_active() != decision.target_active() ||
         last->second.acted() != decision.acted() ||
         !std::equal(last->second.reasons().begin(), last->second.reasons().end(),
                     decision.reasons().begin(), decision.reasons().end());
}

void FillPolicy(const PoolEntry& pool, D::Inputs& in) {
  const v1::Policy& policy = pool.spec->pool.policy();
  in.set_service_level(pool.spec->service_level);
  in.set_base_capacity(pool.spec->base_capacity_per_spec);
  in.set_instance_capacity(pool.spec->pool.instance_capacity());
  in.set_headroom(policy.headroom());
  in.set_min_predicted_increase(policy.min_predicted_increase());
  in.set_mode(policy.mode());
  in.set_sizing(policy.sizing());
  *in.mutable_look_ahead() = ToProto(pool.spec->look_ahead);
  *in.mutable_stabilization_window() = ToProto(pool.spec->stabilization_window);
}

void FillLeads(const PoolEntry& pool, absl::Time now, D::Inputs& in) {
  *in.mutable_provisioning_lead() = ToProto(ProvisioningLeadNow(pool, now));
  *in.mutable_activation_lead() = ToProto(ActivationLead(pool));
}

void FillBounds(const PoolEntry& pool, absl::Time now, D::Inputs& in) {
  const Bounds bounds = BoundsAt(*pool.spec, now, FromProto(in.provisioning_lead()));
  in.set_min_shadow_instances(bounds.min_instances);
  in.set_max_shadow_instances(bounds.max_instances);
  in.set_bounds_by(bounds.by);
}

void FillPlan(const PoolEntry& pool, D::Inputs& in) {
  const PoolCapacity::Plan& plan = pool.capacity->plan();
  if (!plan.instances.has_value()) return;
  in.set_planned_instances(*plan.instances);
  in.set_miss_price(plan.why.miss_price);
  in.set_miss_rate(plan.why.miss_rate);
  if (pool.spec->capacity_target.service_level > 0) in.set_miss_budget_steps(plan.why.budget);
  if (plan.burst.has_value()) in.set_burst_instances(*plan.burst);
  if (pool.planning.early_rise > 0)
    in.set_early_instances(*plan.instances + pool.planning.early_rise);
}

void HoldUntil(const google::protobuf::Timestamp& time, D::Inputs& in) {
  if (!in.has_hold_until_time() || FromProto(in.hold_until_time()) < FromProto(time)) {
    *in.mutable_hold_until_time() = time;
  }
}

// Before the present revision has a shadow, what there is of older ones is what there is: it is
// replaced by as much, and shrinks by the same rules.
void FillShadow(PoolEntry& pool, absl::Time now, D::Inputs& in) {
  const ShadowEntry* current = CurrentShadow(pool);
  const bool stands = current != nullptr && !current->record.deleting();
  if (!stands && pool.record.pool().has_hold_until_time()) {
    HoldUntil(pool.record.pool().hold_until_time(), in);
  }
  for (const auto& [id, shadow] : pool.shadows) {
    if (shadow.record.deleting() || (stands && &shadow != current)) continue;
    const v1::ShadowPool& proto = shadow.record.shadow();
    const int active = ActiveCount(proto.target_instances(), proto.target_activation_level());
    in.set_current_instances(std::max(in.current_instances(), proto.target_instances()));
    in.set_current_active(std::max(in.current_active(), active));
    if (proto.has_hold_until_time()) HoldUntil(proto.hold_until_time(), in);
  }
  const WantedCounts window =
      HighestWants(pool.record.planner(), now, pool.spec->stabilization_window);
  in.set_window_instances(window.instances);
  in.set_window_active(window.active);
}

void FillForecast(const PoolEntry& pool, absl::Time now, D::Inputs& in) {
  const Outlook outlook =
      pool.planning.outlook.has_value()
          ? *pool.planning.outlook
          : OutlookAt(pool, now, pool.forecaster->Trust().trust, FromProto(in.activation_lead()));
  in.set_trust(outlook.trust);
  if (outlook.activation_quantile) in.set_activation_quantile(*outlook.activation_quantile);
  if (outlook.look_ahead_quantile) in.set_look_ahead_quantile(*outlook.look_ahead_quantile);
}

// Counts the newest view once, however often is decided. True: whether errors or response time rise
// has turned.
bool UpdateRise(PoolEntry& pool) {
  if (!pool.balancing.view.has_value() || std::exchange(pool.balancing.view_counted, true))
    return false;
  const bool before = pool.planning.rise.rising();
  pool.planning.rise.Update(pool.balancing.view->errors_per_second,
                            pool.balancing.view->response_time_ms);
  const RiseDetector::State& state = pool.planning.rise.state();
  v1::PlannerState::Rise& kept = *pool.record.mutable_planner()->mutable_rise();
  if (state.errors_mean.has_value()) kept.set_errors_mean(*state.errors_mean);
  if (state.response_mean.has_value()) kept.set_response_mean(*state.response_mean);
  kept.set_rising(state.rising);
  return state.rising != before;
}

// What the pool claims of the daemon's instances, for its record. True: it has changed.
bool KeepClaim(PoolEntry& pool) {
  v1::PlannerState& planner = *pool.record.mutable_planner();
  if (planner.wanted() == pool.planning.wanted && planner.needed() == pool.planning.needed)
    return false;
  planner.set_wanted(pool.planning.wanted);
  planner.set_needed(pool.planning.needed);
  return true;
}

}  // namespace

ShadowEntry* CurrentShadow(PoolEntry& pool) {
  for (auto& [id, shadow] : pool.shadows) {
    if (shadow.record.shadow().dna_revision() == pool.record.pool().dna_revision()) return &shadow;
  }
  return nullptr;
}

std::string CurrentShadowId(const PoolEntry& pool) {
  // "r" and the revision: an id begins with a letter.
  return absl::StrCat("r", RevisionOf(pool.record.pool().dna_revision()));
}

ShadowEntry& AddShadow(Changes& changes, PoolEntry& pool) {
  CHECK(CurrentShadow(pool) == nullptr);  // One for each revision.
  const std::string id = CurrentShadowId(pool);
  ShadowEntry& shadow = pool.shadows[id];
  v1::ShadowPool& proto = *shadow.record.mutable_shadow();
  proto.set_name(ShadowPoolName(pool.id, id));
  proto.set_dna_revision(pool.record.pool().dna_revision());
  *proto.mutable_create_time() = ToProto(changes.now().wall);
  return shadow;
}

void SetTarget(Changes& changes, PoolEntry& pool, ShadowEntry& shadow, const ShadowTarget& target,
               std::string_view why) {
  CHECK(target.instances >= 0);
  CHECK(target.level >= 0 && target.level <= 100);
  v1::ShadowPool& proto = *shadow.record.mutable_shadow();
  proto.set_target_instances(target.instances);
  CountPool(changes.world(), pool);
  proto.set_target_activation_level(target.level);
  proto.set_etag(absl::StrCat(changes.world().revision + 1));
  changes.Put(pool, shadow, target.kind, why);
}

D::Inputs InputsNow(PoolEntry& pool, absl::Time time) {
  const absl::Time now = DecisionTick(pool, time);
  D::Inputs in;
  FillPolicy(pool, in);
  FillLeads(pool, now, in);
  FillBounds(pool, now, in);
  FillPlan(pool, in);
  FillShadow(pool, now, in);
  *in.mutable_usage() = UsageNow(pool, now);
  FillForecast(pool, now, in);
  in.set_errors_rising(pool.planning.rise.rising());
  return in;
}

absl::Time DecisionTick(const PoolEntry& pool, absl::Time now) {
  return StepStart(now, std::min(pool.spec->activation_interval, pool.spec->step));
}

const D& DecideAndAct(Changes& changes, PoolEntry& pool, D::Kind kind, bool always_record) {
  const absl::Time now = changes.now().wall;
  const bool rise_turned = kind == D::LEVEL && UpdateRise(pool);
  std::optional<D> ahead =
      kind == D::SIZE ? std::exchange(pool.planning.size_decision, {}) : std::nullopt;
  D decision = ahead.has_value() ? *std::move(ahead) : Decide(kind, InputsNow(pool, now), now);
  const D::Inputs& inputs = decision.inputs();
  const WantedCounts wants = WantsNow(inputs);
  const bool wants_changed =
      RememberWant(*pool.record.mutable_planner(), DecisionTick(pool, now),
                   pool.spec->stabilization_window, wants.instances, wants.active);
  pool.planning.needed =
      std::max(wants.instances, inputs.usage().stale() ? inputs.current_active() : 0);
  const auto share =
      BudgetShare(changes.world(), pool, decision.target_instances(), changes.now().mono);
  if (share.has_value()) {
    D::Inputs bounded = std::move(*decision.mutable_inputs());
    bounded.set_budget_instances(*share);
    decision = Decide(kind, std::move(bounded), now);
  }
  decision.set_pool(pool.record.pool().name());
  const bool held = decision.reasons_size() > 0 && decision.reasons(0) == D::HELD;
  decision.set_acted(decision.inputs().mode() == v1::Policy::AUTOMATIC && !held && !Deleting(pool));
  const bool differs = Differs(pool, decision);
  if (differs || always_record) decision.set_explanation(Explain(decision));
  if (decision.acted()) Act(changes, pool, decision);
  if (differs || always_record) changes.Record(pool, decision, differs);
  // What the planner remembers is on disk before what follows from it.
  NoteDecision(pool, decision, differs || always_record);
  if (KeepClaim(pool) || wants_changed || rise_turned || differs) changes.Keep(pool);
  return pool.planning.last_decisions[kind] = std::move(decision);
}

}  // namespace shadow
