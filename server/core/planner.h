// How much must be ready, and how much of it must serve. Pure: the same inputs give the same
// decision.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "forecast/need/load.h"
#include "shadow/v1/record.pb.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

// ceil(instances x level / 100): how many serve at an activation level.
// e.g. ActiveCount(3, 34) = 2, ActiveCount(3, 33) = 1.
int ActiveCount(int instances, int level);

// A level at which `active` of `instances` serve (or a few more, beyond 100 instances): their
// share, rounded down where that does. e.g. LevelFor(3, 2) = 66, and ActiveCount(3, 66) = 2.
int LevelFor(int instances, int active);

// max(1, ceil((demand + increase - base_capacity) / instance_capacity)): the size of a shadow that
// a person asks for, bounded by kInstancesMax. e.g. (80, 150, 100, 50) -> 3.
int SizeByHand(double demand, double increase, double base_capacity, double instance_capacity);

inline constexpr int kInstancesMax =
    kNeedMax;  // Keeps the arithmetic in range, whatever the inputs.

// One decision, all of it from `inputs`; `id`, `pool`, `acted` and `explanation` are the caller's.
// ARCHITECTURE.md holds the rules in their order and a worked example. The two kinds:
//  SIZE   the planned count, at least what demand x headroom takes beyond the base. Shrinks only if
//         the plan, the highest actual need of the stabilisation window and the look-ahead agree.
//  LEVEL  what demand x headroom takes, growing the shadow if it is too small, or, of those that
//         are planned and there, what the activation_quantile takes if trusted. Up at once; down
//         after the stabilisation window.
v1::Decision Decide(v1::Decision::Kind kind, v1::Decision::Inputs inputs, absl::Time now);

// A decision in words, with its numbers.
std::string Explain(const v1::Decision& decision);

// Notes what a decision wanted, so that later ones see the highest wants of `window`: a queue that
// keeps, newest last, only wants that no later one exceeds in both counts; at most kWantsMax of
// them. False: the newest was only wanted again, which ResumeWants knows without being told.
bool RememberWant(v1::PlannerState& state, absl::Time now, absl::Duration window, int instances,
                  int active);

inline constexpr int kWantsMax = 1024;

// After a restart: what was wanted last was wanted up to `last_decision`, for else a write would
// say so.
void ResumeWants(v1::PlannerState& state, absl::Time last_decision);

// What is wanted of a pool at one time.
struct WantedCounts {
  int instances = 0;
  int active = 0;
};

// The highest wants remembered within `window` before `now`.
WantedCounts HighestWants(const v1::PlannerState& state, absl::Time now, absl::Duration window);

// What actual demand takes now (the active ones: also the activation lead's forecast), before
// windows, holds and modes: what RememberWant is fed.
WantedCounts WantsNow(const v1::Decision::Inputs& inputs);

}  // namespace shadow
