// A Prober in memory: everything is ready and quick unless told otherwise.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include "server/core/ports.h"

namespace shadow {

// Thread-safe.
class FakeProber final : public Prober {
 public:
  struct Behaviour {
    int checks_until_ready = 0;  // So many Checks are kUnavailable first.
    absl::Status check;          // Then this.
    absl::Status warm_up;
    absl::Duration latency_median = absl::Milliseconds(1);
    bool hangs = false;  // Both, until they are stopped.
  };

  // Of every address that has none of its own.
  void SetDefault(Behaviour behaviour) {
    const std::lock_guard lock(mutex_);
    default_ = std::move(behaviour);
  }

  void Set(const std::string& address, Behaviour behaviour) {
    const std::lock_guard lock(mutex_);
    behaviours_[address] = std::move(behaviour);
  }

  int Checks(const std::string& address) const { return Count(checks_, address); }
  int WarmUps(const std::string& address) const { return Count(warm_ups_, address); }

  absl::Status Check(const CompiledDna&, const std::string& address,
                     const std::stop_token& stop) override {
    std::unique_lock lock(mutex_);
    const Behaviour& behaviour = Of(address);
    const int earlier = checks_[address]++;
    if (behaviour.hangs) return Hang(lock, stop);
    if (earlier < behaviour.checks_until_ready) {
      return absl::UnavailableError(address + " is not ready yet");
    }
    return behaviour.check;
  }

  // Like the real one, it compares the median with the DNA's bound.
  absl::Status WarmUp(const CompiledDna& dna, const std::string& address,
                      const std::stop_token& stop) override {
    std::unique_lock lock(mutex_);
    const Behaviour& behaviour = Of(address);
    ++warm_ups_[address];
    if (behaviour.hangs) return Hang(lock, stop);
    if (!behaviour.warm_up.ok()) return behaviour.warm_up;
    if (dna.dna.warm_up().requests() > 0 && dna.warm_up_latency_max.has_value() &&
        behaviour.latency_median > *dna.warm_up_latency_max) {
      return absl::FailedPreconditionError(address + ": warm-up was too slow");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Hang(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
    stopped_.wait(lock, stop, [] { return false; });
    return absl::CancelledError("the probe was stopped");
  }

  const Behaviour& Of(const std::string& address) const {
    const auto found = behaviours_.find(address);
    return found == behaviours_.end() ? default_ : found->second;
  }

  int Count(const std::map<std::string, int>& counts, const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts.find(address);
    return found == counts.end() ? 0 : found->second;
  }

  mutable std::mutex mutex_;
  std::condition_variable_any stopped_;
  Behaviour default_;
  std::map<std::string, Behaviour> behaviours_;
  std::map<std::string, int> checks_;
  std::map<std::string, int> warm_ups_;
};

}  // namespace shadow
