#include "server/core/loop/clock/clock_jumps.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

void Rewind(v1::PlannerState& planner, absl::Time now) {
  for (v1::PlannerState::Want& want : *planner.mutable_wants()) {
    if (FromProto(want.time()) > now) *want.mutable_time() = ToProto(now);
  }
  if (planner.has_start_step() && FromProto(planner.start_step()) > now) planner.clear_start_step();
}

}  // namespace

void FollowClock(Changes& changes) {
  World& world = changes.world();
  ClockEntry& clock = world.clock;
  const absl::Time origin = changes.now().wall - changes.now().mono;
  const absl::Duration jump = origin - std::exchange(clock.origin, origin).value_or(origin);
  if (absl::AbsDuration(jump) < kClockJumpMin) return;
  clock.jumped = changes.now().mono;
  const bool back = jump < absl::ZeroDuration();
  clock.condition.clear_status();  // Each jump is an event, also one that follows another.
  NoteDaemonCondition(
      changes, clock.condition, "",
      {.status = v1::Condition::FALSE,
       .reason = back ? "SetBack" : "SetForward",
       .message = absl::StrCat(
           "the wall clock was set ", back ? "back" : "forward", " by ",
           absl::FormatDuration(
               absl::Trunc(absl::AbsDuration(jump) + absl::Milliseconds(500), absl::Seconds(1))))});
  if (!back) return;
  for (auto& [id, pool] : world.pools) ComeBack(changes, pool);
}

void NoteSteadyClock(Changes& changes) {
  ClockEntry& clock = changes.world().clock;
  if (clock.condition.status() == v1::Condition::TRUE) return;
  if (clock.jumped.has_value() && changes.now().mono - *clock.jumped < kClockUnsettled) return;
  clock.condition.set_type("ClockSteady");
  NoteDaemonCondition(changes, clock.condition, "",
                      {.status = v1::Condition::TRUE, .reason = "Steady"});
}

bool IsAhead(const PoolEntry& pool, absl::Time now) {
  const auto& wants = pool.record.planner().wants();
  return pool.forecaster->LastStep() > now ||
         std::any_of(wants.begin(), wants.end(), [now](const v1::PlannerState::Want& want) {
           return FromProto(want.time()) > now;
         });
}

void ComeBack(Changes& changes, PoolEntry& pool) {
  const absl::Time now = changes.now().wall;
  const absl::Duration length = pool.spec->step;
  const absl::Time step = StepStart(now, length);
  // What its sender stamped just before counts too.
  pool.demand.last_sample = std::min(pool.demand.last_sample, now - length);
  if (pool.demand.open_step.start > step) pool.demand.open_step = {};
  pool.timers.next_size = std::min(pool.timers.next_size, step + length);
  Rewind(*pool.record.mutable_planner(), now);
  v1::PoolRecord& record = pool.record;
  if (record.has_first_sample_time() && FromProto(record.first_sample_time()) > now) {
    record.clear_first_sample_time();
  }
  if (pool.forecaster->LastStep() > now + pool.spec->season_lengths.front()) {
    record.set_learn_again(true);
  }
  // What learns up to a time that has not come has to begin again.
  if (pool.learning.learn_effect.has_value()) pool.learning.steps_meanwhile_lost = true;
  changes.Keep(pool);
}

}  // namespace shadow
