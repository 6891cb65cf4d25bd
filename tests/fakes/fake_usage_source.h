// A UsageSource in memory.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/ports.h"
#include "server/core/time_proto.h"

namespace shadow {

// Thread-safe, Read and knobs alike.
class FakeUsageSource final : public UsageSource {
 public:
  std::string peer() const override { return "fake"; }

  // The samples pushed for `pool` after `since`; empty if there are none.
  absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) override {
    const std::lock_guard lock(mutex_);
    ++reads_;
    if (!error_.ok()) return error_;
    UsageReading reading;
    const std::map<absl::Time, double>& samples = samples_[pool];
    for (auto it = samples.upper_bound(since); it != samples.end(); ++it) {
      v1::Sample sample;
      *sample.mutable_time() = ToProto(it->first);
      sample.set_value(it->second);
      reading.samples.push_back(std::move(sample));
    }
    return reading;
  }

  // `pool` as Read will be asked for it; a second value for one time replaces the first.
  void Push(const std::string& pool, absl::Time time, double value) {
    const std::lock_guard lock(mutex_);
    samples_[pool][time] = value;
  }

  // Until it is set to OK again.
  void SetError(absl::Status error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }

  int Reads() {
    const std::lock_guard lock(mutex_);
    return reads_;
  }

 private:
  std::mutex mutex_;  // Guards what follows.
  std::map<std::string, std::map<absl::Time, double>> samples_;
  absl::Status error_;
  int reads_ = 0;
};

}  // namespace shadow
