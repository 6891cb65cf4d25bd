// Threads that call into the world, where anything may hang. What is called shares a lane with
// nothing else, each lane has few calls under way, and a call that does not return in time is given
// up on: so one neighbour that is slow, hung or hostile costs the others nothing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/effects/effect.h"

namespace shadow {

// Thread-safe. What waits is bounded by who submits: by the control loop, one effect for each
// instance, and a few for each pool and provider; by DnaChecks, its questions.
class Lanes {
 public:
  static constexpr size_t kWorkersMax = 256;
  // Calls of one lane that were given up on and have still not returned: with so many the lane
  // begins no more of them, and answers kAborted at once.
  static constexpr int kStuckMax = 4;

  struct Job {
    uint64_t id = 0;        // Of the effect.
    std::string lane = {};  // For people too: "balancer /run/haproxy.sock".
    // What it changes, e.g. an instance's id; empty: nothing. While a call that was given up on
    // goes on, others of its lane with the same subject are answered kAborted.
    std::string subject = {};
    int in_flight_max = 1;           // Of the lane; the same for all of its jobs.
    absl::Duration time_limit = {};  // From its start.
    // Returns soon after the token is asked to stop, if it can.
    std::function<EffectResult(const std::stop_token&)> run = {};
    // More than 1: up to this many waiting jobs of its lane may go in one call, which is the first
    // one's `run_together` instead of `run`.
    int together_max = 1;
    Effect effect = {};  // Set if `together_max` is more than 1.
    // One result for each effect, in their order.
    std::function<std::vector<EffectResult>(std::span<const Effect>)> run_together = {};
  };

  // `clock` must outlive it. `done` is called once for each job that Stop does not drop, with its
  // id: on a thread of this, or by Submit or Cancel. It must not block.
  Lanes(Clock& clock, std::function<void(EffectResult)> done);

  // Stop.
  ~Lanes();

  // Lanes take turns; within one, first come, first served, but for those that go with the first.
  void Submit(Job job);

  // Asks a job that runs alone to stop; one that waits does not begin and is kCancelled. Unknown:
  // nothing.
  void Cancel(uint64_t id);

  // Asks what runs to stop, drops what waits, and returns when nothing runs any more: a call that
  // never returns blocks it. Later jobs are dropped.
  void Stop();

 private:
  struct Lane {
    std::deque<Job> waiting;
    int in_flight = 0;                               // Without those that are stuck.
    int stuck = 0;                                   // Given up on, not returned.
    std::multiset<std::string> stuck_subjects = {};  // Of those.
    bool has_turn = false;                           // It is in `turns_`.
  };
  using LaneMap = std::map<std::string, Lane>;
  // A call.
  struct Running {
    std::string lane;
    std::vector<uint64_t> ids;          // Of its jobs.
    std::vector<std::string> subjects;  // Of those that have one.
    std::stop_source stop;
    absl::Duration time_limit;
    absl::Duration deadline;  // Monotonic.
  };

  void Work();
  void Watch();
  void OfferTurn(LaneMap::iterator lane);
  void Begin(LaneMap::iterator lane, std::unique_lock<std::mutex>& lock);
  bool End(const std::vector<Job>& jobs);
  std::vector<EffectResult> GiveUp(std::map<uint64_t, Running>::iterator running);
  void Forget(LaneMap::iterator lane);
  std::vector<EffectResult> Refuse(LaneMap::iterator lane);
  void Tell(std::vector<EffectResult> results);

  Clock& clock_;
  const std::function<void(EffectResult)> done_;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable work_;
  std::condition_variable watch_;
  LaneMap lanes_;                        // Those with something that waits, runs or is stuck.
  std::deque<std::string> turns_;        // Lanes that may begin one more, each once.
  std::map<uint64_t, Running> running_;  // By id of the first job; not what was given up on.
  absl::Duration next_deadline_ = absl::InfiniteDuration();  // That the watcher waits for.
  size_t idle_ = 0;                                          // Workers that have nothing to do.
  bool stopping_ = false;
  std::vector<std::thread> workers_;  // As many as were ever needed at once.
  std::thread watcher_;
};

}  // namespace shadow
