// What was given on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

inline constexpr std::string_view kDefaultAddress = "unix:/run/shadowd/shadowd.sock";
inline constexpr absl::Duration kDefaultCallTimeout = absl::Seconds(10);
inline constexpr absl::Duration kDefaultWaitTimeout = absl::Minutes(5);

enum class Output { kTable, kWide, kJson, kYaml, kName, kJsonPath, kCsv, kSvg };

// As CLI11 fills it; durations and times are parsed later, with the flag's name in errors.
struct Arguments {
  // Global.
  std::string address;  // "unix:PATH" or "dns:HOST:PORT"
  std::string cert;     // Files, for the latter.
  std::string key;
  std::string ca;
  std::string server_name;
  std::string context;  // By its name in the file of contexts.
  Output output = Output::kTable;
  std::string json_path;  // The template, with Output::kJsonPath.
  bool watch = false;
  bool wait = false;
  bool dry_run = false;
  std::string request_id;
  std::string timeout;  // Duration; empty: the defaults above.

  // Of single commands; empty or unset: not given.
  std::string name;  // The positional argument.
  std::string file;
  double increase = 0;
  std::int32_t level = 0;
  std::int32_t instances = 0;
  std::string hold;  // Duration.
  std::string csv;
  std::string overlap;  // "skip" or "fail".
  std::string time_column;
  std::string value_column;
  std::string time_zone;  // IANA name.
  std::optional<double> scale;
  std::optional<double> value;
  std::string time;
  std::string horizon;  // Duration.
  std::optional<std::int32_t> history_steps;
  std::string save;        // File to write instead of standard output.
  std::string since;       // Duration, or a revision.
  std::int32_t limit = 0;  // 0: no limit.
  std::vector<double> service_levels;
  std::vector<std::string> policies;  // Files.
  std::optional<double> idle_cost;
  std::optional<double> shortage_cost;
  std::string warm_up;  // Duration.
  std::string step;     // Duration.
  std::string lead;     // Duration.
  std::string last;     // Duration.
  std::string socket;   // HAProxy's, a path.
  std::string state_file;
  bool follow = false;
  bool previous = false;
  std::optional<std::int32_t> tail;  // Lines.
  std::string to_revision;           // Of a DNA.
};

// ParseDurationText and ParseTimeText with `flag` in the error: "--hold: ...".
absl::StatusOr<absl::Duration> ParseDurationFlag(const std::string& text, std::string_view flag);
absl::StatusOr<absl::Time> ParseTimeFlag(const std::string& text, std::string_view flag);

}  // namespace shadow
