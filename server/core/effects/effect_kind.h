// What the core can have done in the world.
#pragma once

#include <string_view>

namespace shadow {

enum class EffectKind {
  // On one instance.
  kCreate,
  kAwaitReady,  // Inspect, and the ready check once it runs.
  kVerify,      // Inspect, and Verify if it lives.
  kSuspend,
  kResume,
  kWarmUp,
  kDestroy,  // Then Inspect.
  kKill,     // The same by force.
  kAssign,   // All of a pool, at its balancer.
  // Looks at the world.
  kListInstances,  // Of one provider.
  kViewBalancer,   // Of one pool.
  kReadUsage,      // Of one pool, samples after `since`.
  kScore,          // Of one pool: what AUTOMATIC would have meant. May take minutes.
  kFit,            // Of one pool's forecaster: `fit` alone, on any thread. Takes milliseconds.
  kLearn,          // Of one pool: LearnAgain (server/core/loop/learning/backfill.h). Takes seconds.
};

// Who carries an effect out (ports.h).
enum class Seam {
  kProvider,
  kProber,  // And the provider, which knows the instance.
  kBalancer,
  kUsageSource,
  kNone,  // The daemon itself, on threads of its own.
};

std::string_view KindName(EffectKind kind);  // "warm up"
Seam SeamOf(EffectKind kind);

}  // namespace shadow
