// Runs replays off every other thread: one at a time, few waiting, below the daemon's own priority.
// Those that people ask for go before those in the background.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/simulation/compiled_replay.h"
#include "server/core/simulation/replay.h"

namespace shadow {

// Thread-safe.
class SimulationWorker {
 public:
  static constexpr size_t kWaitingMax = 16;
  static constexpr size_t kWaitingMaxOfCaller = 4;
  static constexpr size_t kThreadsOfRun = 2;  // That the policies of one run are spread over.

  SimulationWorker();
  // As Shutdown.
  ~SimulationWorker();

  // Runs `job` on the worker; it must end soon once stopping() is true, and is run in any case.
  // Callers take turns: the next job is the oldest one of another caller than the last, if there is
  // one. kResourceExhausted: kWaitingMax jobs are waiting, or kWaitingMaxOfCaller of `caller`.
  // kUnavailable: shut down. `job` is not run then.
  absl::Status Post(const std::string& caller, std::function<void()> job);

  // The same once no other job waits, and it is to end soon once BackgroundMustEnd() is true.
  // kResourceExhausted: another background job waits.
  absl::Status PostBackground(std::function<void()> job);

  // Whether a background job is to end: a job waits, or the worker is stopping.
  bool BackgroundMustEnd() const;

  bool stopping() const { return stopping_; }

  // No new jobs; returns when those that were posted have ended.
  void Shutdown();

 private:
  struct Waiting {
    std::string caller;
    std::function<void()> job;
  };

  void Work();
  std::function<void()> TakeLocked();

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Waiting> waiting_;
  std::string last_caller_;
  std::function<void()> background_;  // Waits; empty: none does.
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// The variants of `replay` on up to kThreadsOfRun threads, of which the caller's is one. Errors as
// ReplayAll. `cancelled` is asked on all of them.
absl::StatusOr<std::vector<simulation::Replayed>> RunVariants(
    const simulation::CompiledReplay& replay, const std::function<bool()>& cancelled);

}  // namespace shadow
