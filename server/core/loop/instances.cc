#include "server/core/loop/instances.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/leads/learned_lead.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/balancing/balancing.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;
using E = InstanceEvent;
using T = InstanceTask;

Backoff& BackoffOf(PoolEntry& pool, const Member& member) {
  return member.shadow.empty() ? pool.base_backoff : pool.shadows.at(member.shadow).backoff;
}

// Back-off is for what fails again: an instance that was begun before the last failure says nothing
// about what has been tried since, such as those that a host's reboot took together.
void BackOff(Backoff& backoff, const Member& member, absl::Duration now) {
  if (member.begun < backoff.failed_at) return;
  if (now > backoff.not_before + 2 * kReplaceMax) backoff.consecutive_failures = 0;
  const int doublings = std::min(backoff.consecutive_failures++, 10);
  backoff.failed_at = now;
  backoff.not_before = now + std::min(kReplaceMin * (1 << doublings), kReplaceMax);
}

void CountFailure(Changes& changes, PoolEntry& pool, const Member& member) {
  // A check that fails says nothing of creations: its instance is replaced at once.
  if (!member.record.checking()) {
    Backoff& backoff = BackoffOf(pool, member);
    BackOff(backoff, member, changes.now().mono);
    backoff.one_at_a_time |= member.created_at.has_value();
  }
  if (member.shadow.empty()) return;
  pool.shadows.at(member.shadow)
      .record.mutable_shadow()
      ->set_failure_reason(member.record.instance().reason());
}

void MeasureProvisioning(Changes& changes, PoolEntry& pool, Member& member) {
  if (!member.created_at.has_value()) return;
  BackoffOf(pool, member).one_at_a_time = false;
  CHECK(changes.now().mono >= *member.created_at);
  const absl::Duration took = changes.now().mono - *std::exchange(member.created_at, {});
  NoteLead(*pool.record.mutable_provisioning(), FromProto(member.record.instance().create_time()),
           took);
  LearnLeads(pool);
  changes.Keep(pool);
}

void MeasureActivation(Changes& changes, PoolEntry& pool, Member& member) {
  I& instance = *member.record.mutable_instance();
  if (instance.has_first_serve_time() || !instance.has_need_time()) return;
  *instance.mutable_first_serve_time() = ToProto(changes.now().wall);
  if (!instance.woken() || !member.needed_at.has_value()) return;
  const absl::Time begin = FromProto(instance.need_time());
  const absl::Duration served = changes.now().mono;
  const absl::Duration warm = member.warm_at.value_or(served);
  NoteLead(*pool.record.mutable_waking(), begin, warm - *member.needed_at);
  if (member.warm_at.has_value()) {
    NoteLead(*pool.record.mutable_balancing(), begin, served - warm);
  }
  LearnLeads(pool);
  changes.Keep(pool);
}

absl::Duration DeadlineOf(const PoolEntry& pool, const Member& member, absl::Duration now) {
  switch (RowOf(member.task).limit) {
    case TimeLimit::kNone:
      return absl::InfiniteDuration();
    case TimeLimit::kStart:
      return now + member.dna->start_timeout;
    case TimeLimit::kVerify:
      return now + kVerifyTimeout;
    case TimeLimit::kSuspend:
      return now + kSuspendTimeout;
    case TimeLimit::kDrain:
      return now + pool.spec->drain_timeout;
    case TimeLimit::kRemove:
      return now + kRemoveTimeout;
    case TimeLimit::kStop:
      return now + (member.dna ? member.dna->stop_timeout : absl::ZeroDuration());
  }
  return absl::InfiniteDuration();
}

void SetTask(const PoolEntry& pool, Member& member, T task, absl::Duration now) {
  CHECK(TaskFits(member.record.instance().state(), task));
  // The start timeout runs from the creation until ready.
  const bool same_deadline = task == T::kAwaitReady;
  member.task = task;
  member.task_since = now;
  member.not_before = now;
  member.tries = 0;
  member.effect_stale = member.effect.has_value();
  if (!same_deadline) member.deadline = DeadlineOf(pool, member, now);
}

// What an event tells of the instance, beside its state.
void Learn(Changes& changes, PoolEntry& pool, Member& member, E event, T finished) {
  I& instance = *member.record.mutable_instance();
  switch (event) {
    case E::kVerified:
      *instance.mutable_check_time() = ToProto(changes.now().wall);
      // One that is to serve at once is not suspended first, but maybe hours later.
      if (instance.role() == I::BASE || member.record.want() == R::WANT_ACTIVE) {
        MeasureProvisioning(changes, pool, member);
      }
      break;
    case E::kSuspended:
      MeasureProvisioning(changes, pool, member);
      break;
    case E::kWeightSet:
      instance.set_weight_percent(
          finished == T::kFullWeight ? 100 : pool.spec->pool.policy().canary().weight_percent());
      MeasureActivation(changes, pool, member);
      break;
    case E::kDrainBegun:
      instance.set_weight_percent(0);
      break;
    case E::kRemoved:
      instance.set_weight_percent(0);
      member.record.set_balanced(false);
      // Its slot is free for those that wait for one.
      for (auto& [id, other] : pool.members) {
        if (other.task == T::kAdd) other.not_before = changes.now().mono;
      }
      break;
    case E::kCreated:
    case E::kReady:
    case E::kResumed:
    case E::kWarmedUp:
    case E::kCanaryPassed:
    case E::kDrained:
    case E::kDestroyed:
    case E::kLost:
    case E::kRunning:
    case E::kStopped:
    case E::kFailed:
    case E::kWantActive:
    case E::kWantSuspended:
    case E::kWantGone:
    case E::kWantCordoned:
    case E::kCheckDue:
    case E::kRecovered:
      break;
  }
}

void OnEntry(Changes& changes, PoolEntry& pool, Member& member) {
  I& instance = *member.record.mutable_instance();
  *instance.mutable_state_time() = ToProto(changes.now().wall);
  member.unhealthy_since.reset();
  if (instance.state() == I::FAILED) CountFailure(changes, pool, member);
  if (instance.state() == I::FAILED || instance.state() == I::SUSPENDED) {
    member.record.clear_checking();
  }
  if (instance.state() == I::FAILED) {  // It is replaced, whatever else was wanted of it.
    instance.clear_cordoned();
    instance.clear_restarting();
    if (member.record.want() == R::WANT_CORDONED) member.record.set_want(R::WANT_SUSPENDED);
  }
  const bool active = instance.state() == I::ACTIVE;
  // Without a balancer it has its whole share while it is ACTIVE.
  const bool balancer = pool.spec->has_balancer;
  if (!balancer) instance.set_weight_percent(active ? 100 : 0);
  if (!active) return;
  BackoffOf(pool, member) = {};
  if (!balancer) MeasureActivation(changes, pool, member);
}

// Unset: its task waits for something else.
std::optional<EffectKind> KindOf(const Member& member, absl::Duration now) {
  if (member.task == T::kDestroy && now >= member.deadline) return EffectKind::kKill;
  return RowOf(member.task).effect;
}

void Issue(Changes& changes, const PoolEntry& pool, Member& member, Effect::Kind kind) {
  CHECK(!member.effect.has_value());  // One at a time.
  CHECK(member.dna != nullptr || kind == Effect::Kind::kDestroy || kind == Effect::Kind::kKill);
  const I& instance = member.record.instance();
  Effect effect;
  effect.kind = kind;
  effect.provider = pool.spec->provider;
  effect.pool = pool.spec;
  effect.instance = {.id = member.id,
                     .name = instance.name(),
                     .pool = pool.id,
                     .shadow = member.shadow,
                     .dna = member.dna};
  effect.address = instance.address();
  member.effect = changes.Run(std::move(effect));
  member.effect_stale = false;
}

// That it is now wanted so; not to serve.
E EventOf(R::Want want) {
  if (want == R::WANT_GONE) return E::kWantGone;
  return want == R::WANT_CORDONED ? E::kWantCordoned : E::kWantSuspended;
}

// It is wanted while it is checked, and goes on from where it is. That measures no activation.
void LeaveCheck(Changes& changes, PoolEntry& pool, Member& member) {
  member.needed_at.reset();
  changes.Put(pool, member, v1::Event::UPDATED,
              absl::StrCat("SUSPENDED -> ", I::State_Name(member.record.instance().state()),
                           ": wanted while it is checked"));
}

void OnDeadline(Changes& changes, PoolEntry& pool, Member& member) {
  switch (RowOf(member.task).limit) {
    case TimeLimit::kNone:  // The drain of a pool that is deleted: nobody may ever answer there.
      CHECK(member.task == T::kDrain);
      [[fallthrough]];
    case TimeLimit::kDrain:
      return Apply(changes, pool, member, E::kDrained, "drain timeout");
    case TimeLimit::kRemove:  // The balancer cannot be reached: it is told later.
      return Apply(changes, pool, member, E::kRemoved);
    case TimeLimit::kStop:  // From now on by force.
      return;
    case TimeLimit::kStart:
    case TimeLimit::kVerify:
    case TimeLimit::kSuspend:
      break;
  }
  if (member.task == T::kAwaitReady) {
    return Apply(changes, pool, member, E::kFailed,
                 absl::StrCat("not ready within ", absl::FormatDuration(member.dna->start_timeout),
                              member.not_ready.empty() ? "" : ": ", member.not_ready));
  }
  Apply(changes, pool, member, E::kFailed,
        absl::StrCat(std::string(RowOf(member.task).name), ": not done within ",
                     absl::FormatDuration(member.deadline - member.task_since)));
}

}  // namespace

Member& CreateMember(Changes& changes, PoolEntry& pool, std::string_view shadow, bool serve) {
  World& world = changes.world();
  CHECK(world.instances < world.instances_max);
  Member member;
  // The event below takes the next revision, which is never used again: a unique id.
  member.id = InstanceId(world.revision + 1);
  member.shadow = std::string(shadow);
  I& instance = *member.record.mutable_instance();
  const std::string parent = shadow.empty() ? pool.record.pool().name()
                                            : pool.shadows.at(member.shadow).record.shadow().name();
  instance.set_name(absl::StrCat(parent, "/instances/", member.id));
  instance.set_role(shadow.empty() ? I::BASE : I::SHADOW);
  instance.set_state(I::CREATING);
  instance.set_dna_revision(shadow.empty()
                                ? pool.record.pool().dna_revision()
                                : pool.shadows.at(member.shadow).record.shadow().dna_revision());
  *instance.mutable_create_time() = ToProto(changes.now().wall);
  *instance.mutable_state_time() = ToProto(changes.now().wall);
  member.begun = changes.now().mono;
  member.created_at = member.begun;
  if (serve) *instance.mutable_need_time() = ToProto(changes.now().wall);
  member.record.set_want(serve ? R::WANT_ACTIVE : R::WANT_SUSPENDED);
  member.dna = world.compiled.at(instance.dna_revision());
  SetTask(pool, member, T::kCreate, changes.now().mono);
  ++world.instances;
  CHECK(!pool.members.contains(member.id));
  Member& entry = pool.members.emplace(member.id, std::move(member)).first->second;
  changes.Put(pool, entry, v1::Event::CREATED, "CREATING");
  return entry;
}

void Apply(Changes& changes, PoolEntry& pool, Member& member, E event, std::string_view reason) {
  I& instance = *member.record.mutable_instance();
  const InstanceFacts facts{.want = member.record.want(),
                            .has_balancer = pool.spec->has_balancer,
                            .balanced = member.record.balanced(),
                            .checking = member.record.checking()};
  const Transition* row = NextTransition(instance.state(), event, facts);
  if (row == nullptr) return;
  Learn(changes, pool, member, event, member.task);
  const bool moves = row->to != row->from;
  const bool fails = row->to == I::FAILED;
  if (!reason.empty()) {
    instance.set_reason(absl::StrCat(facts.checking && fails ? "its check while suspended: " : "",
                                     std::string(reason)));
  }
  if (moves && reason.empty()) instance.clear_reason();
  instance.set_state(row->to);
  SetTask(pool, member, row->task, changes.now().mono);
  // That the balancer is told of all members is not cancelled for one.
  if (member.effect_stale && member.effect != pool.balancing.assign_effect)
    changes.Cancel(*member.effect);
  if (row->task == T::kAdd) {
    member.record.set_balanced(true);
    if (!member.warm_at.has_value()) member.warm_at = changes.now().mono;
  }
  if (!moves) {
    changes.Keep(pool, member);
    return;
  }
  OnEntry(changes, pool, member);
  if (facts.checking && !fails) {  // To watchers it rests: a check that passes is no news.
    changes.Keep(pool, member);
    return;
  }
  std::string message = absl::StrCat(I::State_Name(row->from), " -> ", I::State_Name(row->to));
  if (!instance.reason().empty()) absl::StrAppend(&message, ": ", instance.reason());
  changes.Put(pool, member, v1::Event::UPDATED, message);
}

void SetWant(Changes& changes, PoolEntry& pool, Member& member, R::Want want) {
  I& instance = *member.record.mutable_instance();
  CHECK(want != R::WANT_UNSPECIFIED);
  if (member.record.want() == want) return;
  member.record.set_want(want);
  changes.Keep(pool, member);
  const bool checked = member.record.checking();
  member.record.clear_checking();
  // One that was cordoned goes on as if the balancer had forgotten it just now.
  const bool held = instance.state() == I::DRAINING && !member.record.balanced();
  if (want == R::WANT_ACTIVE) {
    *instance.mutable_need_time() = ToProto(changes.now().wall);
    instance.clear_first_serve_time();
    member.needed_at = changes.now().mono;
    member.warm_at.reset();
    instance.set_woken(checked || instance.state() == I::SUSPENDED ||
                       instance.state() == I::SUSPENDING);
    if (checked) LeaveCheck(changes, pool, member);
    // What is verified again is warm already.
    const bool warm = checked && member.task == T::kVerify;
    Apply(changes, pool, member, held ? E::kRemoved : warm ? E::kWarmedUp : E::kWantActive);
  } else {
    Apply(changes, pool, member, held ? E::kRemoved : EventOf(want));
  }
}

void BeginCheck(Changes& changes, PoolEntry& pool, Member& member) {
  CHECK(member.record.instance().state() == I::SUSPENDED);
  CHECK(member.record.want() == R::WANT_SUSPENDED && !member.record.checking());
  member.record.set_checking(true);
  Apply(changes, pool, member, E::kCheckDue);
}

bool Advance(Changes& changes, PoolEntry& pool, Member& member) {
  const absl::Duration now = changes.now().mono;
  if (member.task == T::kDrain && pool.record.pool().state() == v1::Pool::DELETING) {
    member.deadline = std::min(member.deadline, now + pool.spec->drain_timeout);
  }
  if (!member.effect.has_value() && now >= member.deadline) OnDeadline(changes, pool, member);
  if (member.task == T::kForget) {
    changes.Erase(pool, member);
    CHECK(changes.world().instances > 0);
    --changes.world().instances;
    const std::string id = member.id;
    pool.members.erase(id);
    return false;
  }
  const std::optional<Effect::Kind> kind = KindOf(member, now);
  if (kind.has_value() && !AwaitsBalancer(member) && !member.effect.has_value() &&
      now >= member.not_before) {
    Issue(changes, pool, member, *kind);
  }
  return true;
}

absl::Duration DueTime(const Member& member) {
  if (member.effect.has_value()) return absl::InfiniteDuration();
  // Past its deadline a task that is being destroyed goes on by force: only the poll counts.
  const absl::Duration deadline =
      member.task == T::kDestroy ? absl::InfiniteDuration() : member.deadline;
  const bool waits = AwaitsBalancer(member) || !KindOf(member, absl::ZeroDuration()).has_value();
  return waits ? deadline : std::min(member.not_before, deadline);
}

void RetryLater(Changes& changes, PoolEntry& pool, Member& member, std::string_view reason) {
  const int doublings = std::min(member.tries++, 10);
  member.not_before = changes.now().mono + std::min(kRetryMin * (1 << doublings), kRetryMax);
  if (reason.empty() || member.record.instance().reason() == reason) return;
  member.record.mutable_instance()->set_reason(std::string(reason));
  changes.Put(pool, member, v1::Event::UPDATED, reason);
}

void WaitForRoom(Changes& changes, PoolEntry& pool, Member& member, std::string_view reason) {
  member.deadline = DeadlineOf(pool, member, changes.now().mono);
  RetryLater(changes, pool, member, reason);
}

}  // namespace shadow
