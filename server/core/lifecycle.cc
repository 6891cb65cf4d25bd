#include "server/core/lifecycle.h"

#include <algorithm>
#include <iterator>

namespace shadow {
namespace {

using E = InstanceEvent;
using G = Guard;
using I = v1::Instance;
using T = InstanceTask;

constexpr Transition kTable[] = {
    {I::CREATING, E::kCreated, G::kAlways, I::CREATING, T::kAwaitReady},
    {I::CREATING, E::kReady, G::kAlways, I::VERIFYING, T::kVerify},
    {I::CREATING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::CREATING, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::CREATING, E::kRecovered, G::kAlways, I::CREATING, T::kCreate},

    {I::VERIFYING, E::kVerified, G::kServe, I::WARMING, T::kWarmUp},
    {I::VERIFYING, E::kVerified, G::kCordoned, I::DRAINING, T::kNone},
    {I::VERIFYING, E::kVerified, G::kRest, I::SUSPENDING, T::kSuspend},
    {I::VERIFYING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::VERIFYING, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::VERIFYING, E::kRecovered, G::kAlways, I::VERIFYING, T::kVerify},

    {I::SUSPENDING, E::kSuspended, G::kServe, I::RESUMING, T::kResume},
    {I::SUSPENDING, E::kSuspended, G::kRest, I::SUSPENDED, T::kNone},
    {I::SUSPENDING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::SUSPENDING, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::SUSPENDING, E::kRecovered, G::kAlways, I::SUSPENDING, T::kSuspend},

    {I::SUSPENDED, E::kWantActive, G::kAlways, I::RESUMING, T::kResume},
    {I::SUSPENDED, E::kCheckDue, G::kAlways, I::RESUMING, T::kResume},
    {I::SUSPENDED, E::kRunning, G::kAlways, I::SUSPENDING, T::kSuspend},
    {I::SUSPENDED, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::SUSPENDED, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::SUSPENDED, E::kRecovered, G::kAlways, I::SUSPENDED, T::kNone},

    {I::RESUMING, E::kResumed, G::kServe, I::WARMING, T::kWarmUp},
    // Only after a crash in WARMING can the balancer know a resuming one.
    {I::RESUMING, E::kResumed, G::kBalanced, I::DRAINING, T::kDrain},
    {I::RESUMING, E::kResumed, G::kChecked, I::WARMING, T::kWarmUp},
    {I::RESUMING, E::kResumed, G::kCordoned, I::DRAINING, T::kNone},
    {I::RESUMING, E::kResumed, G::kRest, I::SUSPENDING, T::kSuspend},
    {I::RESUMING, E::kFailed, G::kBalanced, I::FAILED, T::kRemove},
    {I::RESUMING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::RESUMING, E::kWantGone, G::kBalanced, I::DRAINING, T::kDrain},
    {I::RESUMING, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::RESUMING, E::kRecovered, G::kAlways, I::RESUMING, T::kResume},

    {I::WARMING, E::kWarmedUp, G::kServeBalanced, I::WARMING, T::kAdd},
    {I::WARMING, E::kWarmedUp, G::kServeDirect, I::ACTIVE, T::kNone},
    {I::WARMING, E::kWarmedUp, G::kBalanced, I::DRAINING, T::kDrain},
    {I::WARMING, E::kWarmedUp, G::kChecked, I::WARMING, T::kVerify},
    {I::WARMING, E::kWarmedUp, G::kRest, I::SUSPENDING, T::kSuspend},
    // One that is wanted meanwhile is not waited for: SetWant ends its check.
    {I::WARMING, E::kVerified, G::kRest, I::SUSPENDING, T::kSuspend},
    {I::WARMING, E::kWeightSet, G::kServe, I::WARMING, T::kJudge},
    {I::WARMING, E::kWeightSet, G::kAlways, I::DRAINING, T::kDrain},
    {I::WARMING, E::kCanaryPassed, G::kAlways, I::ACTIVE, T::kFullWeight},
    {I::WARMING, E::kLost, G::kAlways, I::WARMING, T::kAdd},
    {I::WARMING, E::kWantSuspended, G::kBalanced, I::DRAINING, T::kDrain},
    {I::WARMING, E::kWantSuspended, G::kAlways, I::SUSPENDING, T::kSuspend},
    {I::WARMING, E::kWantCordoned, G::kBalanced, I::DRAINING, T::kDrain},
    {I::WARMING, E::kWantCordoned, G::kAlways, I::DRAINING, T::kNone},
    {I::WARMING, E::kFailed, G::kBalanced, I::FAILED, T::kRemove},
    {I::WARMING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::WARMING, E::kWantGone, G::kBalanced, I::DRAINING, T::kDrain},
    {I::WARMING, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    // The stage is not on disk: begin again, with a resume in case that was never done.
    {I::WARMING, E::kRecovered, G::kAlways, I::RESUMING, T::kResume},

    {I::ACTIVE, E::kWeightSet, G::kAlways, I::ACTIVE, T::kNone},
    {I::ACTIVE, E::kLost, G::kAlways, I::ACTIVE, T::kFullWeight},
    {I::ACTIVE, E::kStopped, G::kAlways, I::ACTIVE, T::kResume},
    {I::ACTIVE, E::kResumed, G::kAlways, I::ACTIVE, T::kNone},
    {I::ACTIVE, E::kWantSuspended, G::kBalanced, I::DRAINING, T::kDrain},
    {I::ACTIVE, E::kWantSuspended, G::kAlways, I::SUSPENDING, T::kSuspend},
    {I::ACTIVE, E::kWantCordoned, G::kBalanced, I::DRAINING, T::kDrain},
    {I::ACTIVE, E::kWantCordoned, G::kAlways, I::DRAINING, T::kNone},
    {I::ACTIVE, E::kFailed, G::kBalanced, I::FAILED, T::kRemove},
    {I::ACTIVE, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::ACTIVE, E::kWantGone, G::kBalanced, I::DRAINING, T::kDrain},
    {I::ACTIVE, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    // The next look at the balancer mends what differs (kLost).
    {I::ACTIVE, E::kRecovered, G::kAlways, I::ACTIVE, T::kNone},

    {I::DRAINING, E::kDrainBegun, G::kServe, I::ACTIVE, T::kFullWeight},
    {I::DRAINING, E::kDrainBegun, G::kAlways, I::DRAINING, T::kAwaitDrained},
    {I::DRAINING, E::kWantActive, G::kAlways, I::ACTIVE, T::kFullWeight},
    {I::DRAINING, E::kDrained, G::kAlways, I::DRAINING, T::kRemove},
    // One that is cordoned runs on. When it no longer is, SetWant has it removed once more.
    {I::DRAINING, E::kRemoved, G::kServe, I::WARMING, T::kWarmUp},
    {I::DRAINING, E::kRemoved, G::kCordoned, I::DRAINING, T::kNone},
    {I::DRAINING, E::kRemoved, G::kRest, I::SUSPENDING, T::kSuspend},
    {I::DRAINING, E::kRemoved, G::kGone, I::DELETING, T::kDestroy},
    {I::DRAINING, E::kFailed, G::kBalanced, I::FAILED, T::kRemove},
    {I::DRAINING, E::kFailed, G::kAlways, I::FAILED, T::kDestroy},
    {I::DRAINING, E::kRecovered, G::kBalanced, I::DRAINING, T::kDrain},
    {I::DRAINING, E::kRecovered, G::kCordoned, I::DRAINING, T::kNone},
    {I::DRAINING, E::kRecovered, G::kAlways, I::DRAINING, T::kDrain},

    {I::FAILED, E::kRemoved, G::kAlways, I::FAILED, T::kDestroy},
    // It failed while it was drained to go.
    {I::FAILED, E::kDestroyed, G::kGone, I::DELETING, T::kForget},
    {I::FAILED, E::kDestroyed, G::kAlways, I::FAILED, T::kNone},
    {I::FAILED, E::kWantGone, G::kBalanced, I::DELETING, T::kRemove},
    {I::FAILED, E::kWantGone, G::kAlways, I::DELETING, T::kDestroy},
    {I::FAILED, E::kRecovered, G::kBalanced, I::FAILED, T::kRemove},
    {I::FAILED, E::kRecovered, G::kAlways, I::FAILED, T::kDestroy},

    {I::DELETING, E::kRemoved, G::kAlways, I::DELETING, T::kDestroy},
    {I::DELETING, E::kDestroyed, G::kAlways, I::DELETING, T::kForget},
    {I::DELETING, E::kRecovered, G::kBalanced, I::DELETING, T::kRemove},
    {I::DELETING, E::kRecovered, G::kAlways, I::DELETING, T::kDestroy},
};

using K = EffectKind;
using L = TimeLimit;

constexpr TaskRow kTasks[] = {
    {T::kNone, "none"},
    {T::kCreate, "create", K::kCreate, E::kCreated, L::kStart},
    {T::kAwaitReady, "await ready", K::kAwaitReady, E::kReady, L::kStart},
    {T::kVerify, "verify", K::kVerify, E::kVerified, L::kVerify},
    {T::kSuspend, "suspend", K::kSuspend, E::kSuspended, L::kSuspend},
    {T::kResume, "resume", K::kResume, E::kResumed, L::kSuspend},
    {T::kWarmUp, "warm up", K::kWarmUp, E::kWarmedUp},
    {T::kAdd, "add", K::kAssign, E::kWeightSet},
    {T::kJudge, "judge", std::nullopt, E::kCanaryPassed},
    {T::kFullWeight, "full weight", K::kAssign, E::kWeightSet},
    {T::kDrain, "drain", K::kAssign, E::kDrainBegun},
    {T::kAwaitDrained, "await drained", std::nullopt, E::kDrained, L::kDrain},
    {T::kRemove, "remove", K::kAssign, E::kRemoved, L::kRemove},
    {T::kDestroy, "destroy", K::kDestroy, E::kDestroyed, L::kStop},
    {T::kForget, "forget"},
};

// Each task has its row, in the order of the enum.
constexpr bool TasksInOrder() {
  for (size_t i = 0; i < std::size(kTasks); ++i) {
    if (static_cast<size_t>(kTasks[i].task) != i) return false;
  }
  return std::size(kTasks) == static_cast<size_t>(T::kForget) + 1;
}
static_assert(TasksInOrder());

bool Holds(Guard guard, const InstanceFacts& facts) {
  const bool serve = facts.want == v1::InstanceRecord::WANT_ACTIVE;
  switch (guard) {
    case Guard::kAlways:
      return true;
    case Guard::kServe:
      return serve;
    case Guard::kServeBalanced:
      return serve && facts.has_balancer;
    case Guard::kServeDirect:
      return serve && !facts.has_balancer;
    case Guard::kRest:
      return facts.want == v1::InstanceRecord::WANT_SUSPENDED ||
             facts.want == v1::InstanceRecord::WANT_CORDONED;
    case Guard::kCordoned:
      return facts.want == v1::InstanceRecord::WANT_CORDONED;
    case Guard::kGone:
      return facts.want == v1::InstanceRecord::WANT_GONE;
    case Guard::kBalanced:
      return facts.balanced;
    case Guard::kChecked:
      return facts.checking;
  }
  return false;
}

}  // namespace

std::span<const Transition> LifecycleTable() { return kTable; }

const Transition* NextTransition(InstanceState state, InstanceEvent event,
                                 const InstanceFacts& facts) {
  for (const Transition& row : kTable) {
    if (row.from == state && row.event == event && Holds(row.guard, facts)) return &row;
  }
  return nullptr;
}

bool TaskFits(InstanceState state, InstanceTask task) {
  if (state == I::CREATING && task == T::kCreate) return true;
  return std::any_of(std::begin(kTable), std::end(kTable),
                     [&](const Transition& row) { return row.to == state && row.task == task; });
}

const TaskRow& RowOf(InstanceTask task) { return kTasks[static_cast<size_t>(task)]; }

}  // namespace shadow
