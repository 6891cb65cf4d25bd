// Samples of demand from a CSV file.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

inline constexpr std::size_t kCsvBytesMax = std::size_t{256} << 20U;
inline constexpr std::size_t kCsvSamplesMax = 5'000'000;

struct CsvSamples {
  std::vector<v1::Sample> samples;
  std::vector<std::size_t> lines;  // Of each sample, from 1.
  // Of the first sample whose time says no zone; 0: all say one.
  std::size_t zoneless_line = 0;
};

// Header `timestamp,value`, then one sample a line: ISO 8601 (no zone: UTC) or Unix seconds, and a
// finite value that is not negative, in the pool's demand unit. An empty value is a missing sample
// and is skipped. Times ascend. Blank lines, CR LF, surrounding spaces, quotes and a byte order
// mark are taken. `source` is the file's name for messages. kInvalidArgument: "<source>: line N:
// ..." with what was wanted, also if there is no sample; nothing of the text is used.
absl::StatusOr<CsvSamples> ParseSamplesCsv(std::string_view text, std::string_view source);

}  // namespace shadow
