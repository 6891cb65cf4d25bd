#include "client/arguments.h"

#include "client/errors.h"
#include "client/text.h"

namespace shadow {

absl::StatusOr<absl::Duration> ParseDurationFlag(const std::string& text, std::string_view flag) {
  absl::StatusOr<absl::Duration> duration = ParseDurationText(text);
  if (!duration.ok()) return BadField(flag, std::string(duration.status().message()));
  return duration;
}

absl::StatusOr<absl::Time> ParseTimeFlag(const std::string& text, std::string_view flag) {
  absl::StatusOr<absl::Time> time = ParseTimeText(text);
  if (!time.ok()) return BadField(flag, std::string(time.status().message()));
  return time;
}

}  // namespace shadow
