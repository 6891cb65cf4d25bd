// A control loop with many pools, their history and their shadows, on a clock set by hand.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/loop/control_loop.h"

namespace shadow::bench {

// One sample of a day's curve with noise, in requests/s; a pure function of its arguments.
double DemandAt(absl::Time time, int pool);

inline constexpr absl::Duration kStep = absl::Minutes(5);
inline constexpr int kHistorySteps = 15 * 24 * 12;  // 15 days.

// `pools` pools in AUTOMATIC with kHistorySteps of history, each with the shadow that its forecast
// asks for. The world outside answers every effect at once and well. One thread.
class CoreWorld {
 public:
  explicit CoreWorld(int pools);

  // On to just after the next step boundary, with a sample of the step before for every pool. The
  // next Tick finds every pool due, its SIZE decision included.
  void AdvanceStep();

  // One tick of all that is due: what a benchmark measures.
  Ready Tick() { return loop_.Tick(now_); }

  // Carries out the effects of `ready`, and those that follow, until there are none.
  void Settle(const Ready& ready);

  // What is due again at once: fits, one a tick.
  void Rest();

  ControlLoop& loop() { return loop_; }

 private:
  void LoadPools(int pools);
  EffectResult Answer(const Effect& effect);

  ControlLoop loop_;
  Instant now_;
  std::map<std::string, Life> lives_;  // Of every instance there is, by id.
};

}  // namespace shadow::bench
