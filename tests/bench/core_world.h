// A control loop with many pools, their history and their shadows, on a clock set by hand.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/loop/control_loop.h"
#include "server/step_workers.h"

namespace shadow::bench {

// One sample of a day's curve with noise, in requests/s; a pure function of its arguments.
double DemandAt(absl::Time time, int pool);

inline constexpr absl::Duration kStep = absl::Minutes(5);
inline constexpr int kHistorySteps = 15 * 24 * 12;  // 15 days.

// Pools that learn their history; more of them go on with copies of what these have learned, so
// that 10,000 pools are made in seconds.
inline constexpr int kLearners = 96;

// `pools` pools in AUTOMATIC with kHistorySteps of history, each with the shadow that its forecast
// asks for. The world outside answers every effect at once and well. One thread.
class CoreWorld {
 public:
  // `threads` work on a tick, and make as many fits in one.
  explicit CoreWorld(int pools, unsigned threads = 1);

  // On to just after the next step boundary, with a sample of the step before for every pool. The
  // next Tick finds every pool due: it closes the step and decides on SIZE and LEVEL.
  void AdvanceStep();

  // One tick of all that is due: what a benchmark measures.
  Ready Tick() { return loop_.Tick(now_); }

  // Carries out the effects of `ready`, and those that follow, until there are none.
  void Settle(const Ready& ready);

  // Up to `ticks_max` ticks of what is due again at once, as fits. The longest of them.
  absl::Duration Rest(int ticks_max);

  ControlLoop& loop() { return loop_; }

 private:
  struct Learned;
  struct Learners {};
  explicit CoreWorld(Learners learners);

  // What each learner has learned; made once.
  static const std::vector<Learned>& AllLearned();

  v1::StoreContents Contents(int pools) const;
  void Load(const v1::StoreContents& contents);
  void LearnHistory();
  EffectResult Answer(const Effect& effect);

  StepWorkers workers_;
  ControlLoop loop_;
  Instant now_;
  std::map<std::string, Life> lives_;  // Of every instance there is, by id.
};

}  // namespace shadow::bench
