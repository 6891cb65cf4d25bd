// The workers of effects that wait for an instance's own answer: ready checks and warm-ups. One
// that hangs holds its worker for as long as its DNA allows, so they have workers of their own,
// shared fairly between pools.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "server/core/effect.h"

namespace shadow {

// Thread-safe. What waits is bounded by the control loop: one effect for each instance.
class ProbeWorkers {
 public:
  static constexpr size_t kWorkersMax = 64;
  // Of one lane. A pool has four: checks and warm-ups, of the base and of its shadows. So what
  // hangs in one lane holds up no other, and the worst pool leaves half of the workers to the
  // others.
  static constexpr int kLaneInFlightMax = 8;

  // Carries one out; ends soon after the token is asked to stop.
  using Probe = std::function<EffectResult(const Effect&, const std::stop_token&)>;

  // `done` is called once for each effect, on a worker or by Cancel.
  ProbeWorkers(Probe probe, std::function<void(EffectResult)> done);

  // Stop.
  ~ProbeWorkers();

  // Lanes take turns; within one, first come, first served.
  void Submit(Effect effect);

  // If it is here, it ends soon, with kCancelled unless it was done already.
  void Cancel(uint64_t id);

  // Interrupts what runs, drops what waits, and returns when nothing runs any more.
  void Stop();

 private:
  struct Lane {
    std::deque<Effect> waiting;
    int in_flight = 0;
    bool has_turn = false;  // It is in `turns_`.
  };
  using Lanes = std::map<std::string, Lane>;

  void Work();
  void OfferTurn(Lanes::iterator lane);
  void Finish(const std::string& lane, uint64_t id);

  const Probe probe_;
  const std::function<void(EffectResult)> done_;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable work_;
  Lanes lanes_;                                   // Those with something that waits or runs.
  std::deque<std::string> turns_;                 // Lanes that may begin one more, each once.
  std::map<uint64_t, std::stop_source> running_;  // By id of the effect.
  size_t idle_ = 0;                               // Workers that have nothing to do.
  bool stopping_ = false;
  std::vector<std::thread> workers_;  // As many as were ever needed at once.
};

}  // namespace shadow
