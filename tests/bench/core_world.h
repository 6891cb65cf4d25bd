// A control loop with many pools, their history and their shadows, on a clock set by hand.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/loop/control_loop.h"
#include "server/workers/background_workers.h"
#include "server/workers/step_workers.h"

namespace shadow::bench {

// One sample of a day's curve with noise, in requests/s; a pure function of its arguments.
double DemandAt(absl::Time time, int pool);

inline constexpr absl::Duration kStep = absl::Minutes(5);
inline constexpr int kHistorySteps = 15 * 24 * 12;  // 15 days.

// `pools` pools in AUTOMATIC with weeks of history, each with the shadow that its forecast asks
// for. The world outside answers every effect at once and well; fits are made on background threads
// of low priority, as in the daemon. One thread otherwise. A few pools learn their history; more of
// them go on with copies of what these have learned, so that 10,000 pools are made in seconds.
class CoreWorld {
 public:
  struct Options {
    int pools = 1;
    unsigned threads = 1;  // They work on a tick; and as many others on fits.
    absl::Duration step = kStep;
  };
  explicit CoreWorld(const Options& options);

  // On to just after the next step boundary, with a sample of the step before for every pool. The
  // next ticks find every pool due: they close the step and decide on SIZE and LEVEL.
  void AdvanceStep();

  // One tick of what is due: what a benchmark measures.
  Ready Tick() { return loop_.Tick(now_); }

  // Whether the next tick is due at once.
  bool Due() const { return loop_.NextTick() <= now_.mono; }

  // Carries out the effects of `ready`, and those that follow, until there are none but fits.
  void Settle(const Ready& ready);

  // Waits for all fits that are under way or due. The time that their results took the loop: the
  // longest of them.
  absl::Duration AwaitFits();

  int64_t fits() const { return fits_; }  // So far.

  // Of forecasters and capacities of all pools.
  int64_t LearnedBytes() const;

  ControlLoop& loop() { return loop_; }
  const Instant& now() const { return now_; }

 private:
  struct Learned;
  struct Learners {
    int count;
  };
  CoreWorld(Learners learners, absl::Duration step);

  // What each learner has learned of a grid; made once.
  static std::vector<Learned> Learn(absl::Duration step, int count);
  // Learned once, for all worlds of that step (1 s, 1 min or kStep) that have few pools, or many.
  static const std::vector<Learned>& LearnedFor(absl::Duration step, int pools);

  v1::StoreContents Contents(int pools) const;
  void Load(const v1::StoreContents& contents);
  void LearnHistory();
  EffectResult Answer(const Effect& effect);
  void BeginFit(const Effect& effect);

  const absl::Duration step_;
  StepWorkers workers_;
  ControlLoop loop_;
  Instant now_;
  std::map<std::string, Life> lives_;  // Of every instance there is, by id.

  int64_t fits_ = 0;
  int fits_under_way_ = 0;
  std::mutex mutex_;  // Guards fits_made_.
  std::condition_variable made_;
  std::deque<EffectResult> fits_made_;
  BackgroundWorkers background_;  // Last: its threads use what is above.
};

}  // namespace shadow::bench
