// Reads the samples of one pool after the other from metrics.db: rows and chunks as one series.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/samples/hot_samples.h"
#include "storage/samples/resolutions.h"
#include "storage/samples/timed_value.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// One thread's, as its connection; `metrics` and `hot` must outlive it.
class SampleReader {
 public:
  static absl::StatusOr<SampleReader> Prepare(Connection& metrics, const HotSamples& hot);

  // Which samples: those in (after_ns, until_ns], and means of at most `coarsest_ns`.
  struct Range {
    int64_t after_ns = 0;
    int64_t until_ns = 0;
    int64_t coarsest_ns = 0;
  };

  // Gives `take` the samples of `pool` by time, until it returns false. Of equal times the finest
  // counts. A damaged chunk: `on_damage` is told which; reading goes on after it if that returns
  // OK, otherwise Read returns what it returned.
  absl::Status Read(const std::string& pool, const Range& range,
                    absl::FunctionRef<bool(const TimedValue&)> take,
                    absl::FunctionRef<absl::Status(absl::Status)> on_damage);

 private:
  SampleReader(Connection& metrics, const HotSamples& hot) : metrics_(&metrics), hot_(&hot) {}

  Connection* metrics_;  // Never null; pointers so that this can be moved.
  const HotSamples* hot_;
  Statement find_series_;
  std::array<Statement, kResolutions.size()> read_chunks_;
};

}  // namespace shadow::storage
