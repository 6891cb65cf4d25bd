// Samples of demand from what other systems export: the range query of Prometheus and CloudWatch's
// metrics (JSON), Grafana's CSV, and any other CSV with a column of times and one of values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

struct ImportOptions {
  // Name of a column, or its number from 1; of JSON, where `value_column` alone counts, of a series
  // or a statistic. Empty: the only one that can be.
  std::string time_column = "";
  std::string value_column = "";
  std::optional<absl::TimeZone> time_zone = std::nullopt;  // Of times that say none. Unset: UTC.
  double scale = 1;                                        // Each value is multiplied by it.
};

struct Imported {
  std::vector<v1::Sample> samples;  // Ascending.
  std::string place = "line";       // "line" of a CSV, "point" of JSON.
  std::vector<std::size_t> places;  // Of each sample, from 1.
  // Of the first sample whose time says no zone while `time_zone` is unset; 0: none.
  std::size_t zoneless_place = 0;
  std::string told;  // The header, and what each column was taken for; lines.
};

// `source` is the file's name for messages. kInvalidArgument: "<source>: line 7, column 2
// ("Requests"): ..." with what was wanted, also if there is no sample; nothing of the text is used.
absl::StatusOr<Imported> ImportSamples(std::string_view text, std::string_view source,
                                       const ImportOptions& options);

// Of the two kinds. Private to import.cc; without the byte order mark.
absl::StatusOr<Imported> ImportDelimited(std::string_view text, std::string_view source,
                                         const ImportOptions& options);
absl::StatusOr<Imported> ImportJson(std::string_view text, std::string_view source,
                                    const ImportOptions& options);

}  // namespace shadow
