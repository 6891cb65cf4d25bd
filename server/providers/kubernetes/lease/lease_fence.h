// Of several daemons, lets one act: the holder of a Lease.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/kubernetes/lease/lease_election.h"

namespace shadow {

// While this lives the Lease is renewed. Whoever has it and cannot renew it for `renew_deadline`
// must have stopped by then: that much earlier than another takes it, as `duration` is longer.
class LeaseFence {
 public:
  struct Options {
    absl::Duration duration;
    absl::Duration renew_deadline;  // Shorter.
    std::string identity;           // Of this process alone.
    // Waits for so long. False: this process is told to end.
    std::function<bool(absl::Duration)> wait;
    // Of people: who is waited for, each time that it changes.
    std::function<void(const std::string& why)> on_wait;
    // At most once, on a thread of this: the Lease is lost, and why. It must end the process.
    std::function<void(const std::string& why)> on_lost;
  };

  // Between two rounds, held or not.
  static constexpr int kRoundsPerDeadline = 5;

  // Returns when this process holds the Lease. kCancelled: `wait` says so. `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<LeaseFence>> Await(std::unique_ptr<LeaseSeat> seat,
                                                           const Options& options, Clock& clock);

  // Stops renewing; the Lease stays as it is.
  ~LeaseFence();
  LeaseFence(const LeaseFence&) = delete;
  LeaseFence& operator=(const LeaseFence&) = delete;

  // Whether this process may act now. Any thread.
  bool Holds() const;

  // The caller acts no more: the next one need not wait.
  absl::Status Release();

 private:
  LeaseFence(std::unique_ptr<LeaseSeat> seat, const Options& options, Clock& clock);
  absl::Status Acquire();
  void Begin();
  void Renew(absl::Duration next);
  void Watch();
  void Stop();
  void Extend(absl::Duration renewed);
  void Lose(const std::string& why);
  absl::Duration Pause() const { return options_.renew_deadline / kRoundsPerDeadline; }

  const std::unique_ptr<LeaseSeat> seat_;
  const Options options_;
  Clock& clock_;
  LeaseElection election_;                   // Of Await, then of `renewer_`, then of Release.
  std::atomic<int64_t> holds_until_ns_ = 0;  // Monotonic; 0: not held.
  std::mutex mutex_;                         // Guards what follows.
  std::condition_variable wake_;
  bool stopping_ = false;
  bool lost_ = false;
  std::string trouble_;  // Of the last renewal that failed.
  std::thread renewer_;
  std::thread watcher_;
};

}  // namespace shadow
