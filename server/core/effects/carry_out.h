// Calls the seams for an effect: the one way from the core's data to the world's verbs, for the
// daemon and for tests on fakes.
#pragma once

#include <span>
#include <stop_token>
#include <vector>

#include "server/core/effects/effect.h"
#include "server/core/ports.h"

namespace shadow {

// Of the effect's pool. nullptr: the pool has no such seam, or the effect does not need it.
struct Seams {
  Provider* provider = nullptr;
  Balancer* balancer = nullptr;
  UsageSource* usage = nullptr;
  Prober* prober = nullptr;
};

// Any thread. Blocks as long as the seam does; `stop` ends probes early. The status is the seam's;
// kFailedPrecondition: a seam that the effect needs is not there; kInternal: it needs none (kScore,
// kFit, kLearn).
EffectResult CarryOut(const Effect& effect, const Seams& seams, const std::stop_token& stop);

// Whether all there is to do for an effect is one operation on its instance: kCreate, kSuspend,
// kResume. An instance that is ended is looked at as well.
bool IsOneOperation(Effect::Kind kind);

// Several of those, in one call of Apply; one result for each, in their order.
std::vector<EffectResult> CarryOutTogether(std::span<const Effect> effects, Provider& provider);

}  // namespace shadow
