// The life of an instance, as one table. Pure: no I/O, no clock. No other code sets a state.
//
//   CREATING -> VERIFYING -> SUSPENDING -> SUSPENDED -> RESUMING -> WARMING -> ACTIVE -> DRAINING
//                    |             ^                                  ^                     |
//                    |             +------------- reuse --------------|---------------------+
//                    +--- BASE, or already wanted --------------------+
//   SUSPENDED -> RESUMING -> WARMING -> SUSPENDING: the check of one that rests, without traffic
//   any but DELETING -> FAILED;  any -> DELETING -> gone;  a DRAINING one that is wanted -> ACTIVE
//   A cordoned one that ran stays DRAINING, without a task, once the balancer has forgotten it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "server/core/effects/effect_kind.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

using InstanceState = v1::Instance::State;

// What happened to an instance, or what is now wanted of it.
enum class InstanceEvent {
  kCreated,   // The provider has begun to start it.
  kReady,     // Its ready check passed.
  kVerified,  // What runs is what the DNA says.
  kSuspended,
  kResumed,
  kWarmedUp,   // The warm-up requests were answered as the DNA asks.
  kWeightSet,  // The balancer sends it that share: of its canary, or all of it.
  kCanaryPassed,
  kDrainBegun,
  kDrained,    // Nothing in flight, or the drain's deadline has passed.
  kRemoved,    // The balancer has forgotten it.
  kDestroyed,  // Nothing of it is left.
  kLost,       // It should be in the balancer at full weight and is not.
  kRunning,    // It should be suspended and is not.
  kStopped,    // It should run, and somebody has stopped it.
  kFailed,     // It died, timed out, mismatched or was judged bad.
  kWantActive,
  kWantSuspended,
  kWantGone,
  kWantCordoned,
  kCheckDue,   // It has been suspended for so long that it must be checked.
  kRecovered,  // The daemon started: nothing is known to be in flight.
};

// The next step of an instance; it has one at a time.
enum class InstanceTask {
  kNone,
  kCreate,
  kAwaitReady,
  kVerify,
  kSuspend,
  kResume,
  kWarmUp,
  kAdd,    // With its canary's weight.
  kJudge,  // Watch the canary's numbers.
  kFullWeight,
  kDrain,
  kAwaitDrained,
  kRemove,
  kDestroy,
  kForget,  // Erase the record: it is gone.
};

// What a guard may look at.
struct InstanceFacts {
  v1::InstanceRecord::Want want = v1::InstanceRecord::WANT_UNSPECIFIED;
  bool has_balancer = false;  // The pool has a balancer that must be told.
  bool balanced = false;      // The balancer may know it.
  bool checking = false;      // It runs only to be checked; wanted suspended.
};

enum class Guard {
  kAlways,
  kServe,          // Wanted active.
  kServeBalanced,  // Wanted active, and there is a balancer.
  kServeDirect,    // Wanted active, no balancer.
  kRest,           // Wanted suspended; or cordoned, and it does not serve yet.
  kCordoned,       // Wanted without traffic, for a person to look at.
  kGone,           // Wanted gone.
  kBalanced,       // The balancer may know it.
  kChecked,        // It runs only to be checked.
};

struct Transition {
  InstanceState from;
  InstanceEvent event;
  Guard guard;
  InstanceState to;
  InstanceTask task;
};

// All of it, for tests and documentation; the first row that matches is the one.
std::span<const Transition> LifecycleTable();

// The row for `event` in `state`, or nullptr: the event means nothing there and is dropped.
const Transition* NextTransition(InstanceState state, InstanceEvent event,
                                 const InstanceFacts& facts);

// Whether some row, or the beginning of an instance, gives `task` to `state`.
bool TaskFits(InstanceState state, InstanceTask task);

// How long a task may take, all its tries together.
enum class TimeLimit {
  kNone,
  kStart,    // The DNA's start_timeout; it goes on until the instance is ready.
  kVerify,   // kVerifyTimeout.
  kSuspend,  // kSuspendTimeout.
  kDrain,    // The policy's drain_timeout; then what is in flight is abandoned.
  kRemove,   // kRemoveTimeout; then the balancer is taken not to know it.
  kStop,     // The DNA's stop_timeout; then it is ended by force.
};

// Everything about a task except the rows that lead to it.
struct TaskRow {
  InstanceTask task;
  std::string_view name;                            // "warm up"
  std::optional<EffectKind> effect = std::nullopt;  // Unset: it waits for something else.
  std::optional<InstanceEvent> done = std::nullopt;
  TimeLimit limit = TimeLimit::kNone;
};
const TaskRow& RowOf(InstanceTask task);

}  // namespace shadow
