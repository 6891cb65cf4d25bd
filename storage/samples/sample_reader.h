// Reads the samples of one pool after the other from metrics.db: rows and chunks as one series.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/samples/hot_samples.h"
#include "storage/samples/timed_value.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// One thread's, as its connection; `metrics` and `hot` must outlive it.
class SampleReader {
 public:
  static absl::StatusOr<SampleReader> Prepare(Connection& metrics, const HotSamples& hot);

  // Gives `take` the samples of `pool` in (after_ns, until_ns] by time, until it returns false.
  // A damaged chunk: `on_damage` is told which; reading goes on after it if that returns OK,
  // otherwise Read returns what it returned.
  absl::Status Read(const std::string& pool, int64_t after_ns, int64_t until_ns,
                    absl::FunctionRef<bool(const TimedValue&)> take,
                    absl::FunctionRef<absl::Status(absl::Status)> on_damage);

 private:
  explicit SampleReader(const HotSamples& hot) : hot_(&hot) {}

  absl::StatusOr<std::vector<TimedValue>> Decode(const std::string& pool) const;

  const HotSamples* hot_;  // Never null; a pointer so that this can be moved.
  Statement find_series_;
  Statement read_chunks_;
};

}  // namespace shadow::storage
