#include "client/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kTimeTextMax = 64;                   // Characters of a time or duration.
constexpr char kSecondsFormat[] = "%Y-%m-%dT%H:%M:%SZ";

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: invalid.
};

// The first code point of non-empty `text`. RFC 3629: shortest form, no surrogates, below U+110000.
CodePoint FirstCodePoint(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  std::uint32_t value = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {};
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[bytes] || surrogate || value > 0x10FFFF) return {};
  return {value, bytes};
}

bool SteersTerminal(std::uint32_t value) {
  return value < 0x20 || (value >= 0x7F && value <= 0x9F) || value == 0x2028 || value == 0x2029 ||
         (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
}

bool InProtobufRange(absl::Time time) {
  return time >= absl::FromUnixSeconds(-62135596800) && time < absl::FromUnixSeconds(253402300800);
}

absl::Status BadTime(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", PrintableText(text.substr(0, kTimeTextMax)),
                   "\" is not a time; wanted ISO 8601 such as 2026-05-01T09:30:00Z, or Unix "
                   "seconds"));
}

// What a duration is rounded to, so that about three digits of it stay.
absl::Duration RoundingUnit(absl::Duration duration) {
  if (duration >= absl::Minutes(1)) return absl::Seconds(1);
  if (duration >= absl::Seconds(1)) return absl::Milliseconds(100);
  if (duration >= absl::Milliseconds(10)) return absl::Milliseconds(1);
  if (duration >= absl::Milliseconds(1)) return absl::Microseconds(100);
  return absl::Microseconds(1);
}

// Levenshtein's, but two neighbours that change places count as one.
std::size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    if (point.bytes == 0) return false;
    text.remove_prefix(point.bytes);
  }
  return true;
}

std::string PrintableText(std::string_view bytes) {
  std::string printable;
  printable.reserve(bytes.size());
  while (!bytes.empty()) {
    const CodePoint point = FirstCodePoint(bytes);
    if (point.bytes == 0) {
      printable += kReplacement;
      bytes.remove_prefix(1);
      continue;
    }
    if (point.value == '\n' || point.value == '\r' || point.value == '\t') {
      printable += ' ';
    } else if (SteersTerminal(point.value)) {
      printable += '?';
    } else {
      printable += bytes.substr(0, point.bytes);
    }
    bytes.remove_prefix(point.bytes);
  }
  return printable;
}

std::size_t DisplayColumns(std::string_view utf8) {
  std::size_t columns = 0;
  for (const char c : utf8) {
    if ((static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U) ++columns;
  }
  return columns;
}

std::string NumberText(double number) {
  constexpr double kDecimals = 1000;
  const double scaled = number * kDecimals;
  if (!std::isfinite(scaled)) return absl::StrFormat("%g", number);
  const double rounded = std::round(scaled) / kDecimals;
  return absl::StrFormat("%.12g", rounded == 0 ? 0.0 : rounded);
}

std::string ShortDuration(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) return "-" + ShortDuration(-duration);
  if (duration == absl::InfiniteDuration()) return "inf";
  if (duration > absl::ZeroDuration() && duration < absl::Seconds(1)) {
    return absl::StrCat(absl::ToInt64Milliseconds(duration), "ms");
  }
  if (duration < absl::Minutes(1)) return absl::StrCat(absl::ToInt64Seconds(duration), "s");
  if (duration < absl::Hours(1)) return absl::StrCat(absl::ToInt64Minutes(duration), "m");
  const std::int64_t hours = absl::ToInt64Hours(duration);
  constexpr std::int64_t kHoursUntilDays = 48;
  return hours < kHoursUntilDays ? absl::StrCat(hours, "h") : absl::StrCat(hours / 24, "d");
}

std::string DurationText(absl::Duration duration) {
  std::string text = absl::FormatDuration(duration);
  // "1h0m0s" is "1h", but "10s" stays.
  if (text.ends_with("m0s")) text.resize(text.size() - 2);
  if (text.ends_with("h0m")) text.resize(text.size() - 2);
  return text;
}

std::string RoundedDuration(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) return "-" + RoundedDuration(-duration);
  const absl::Duration unit = RoundingUnit(duration);
  return DurationText(absl::Floor(duration + unit / 2, unit));
}

std::string Closest(const std::string& word, const std::vector<std::string>& known) {
  constexpr std::size_t kWordMax = 100;  // Longer ones are no slips, and cost their product.
  if (word.empty() || word.size() > kWordMax) return "";
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string closest;
  for (const std::string& candidate : known) {
    if (candidate.size() > kWordMax) continue;
    const std::size_t distance = EditDistance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    closest = candidate;
  }
  return closest;
}

std::string CountText(std::int64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime(kSecondsFormat, time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Duration> ParseDurationText(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("\"", PrintableText(text.substr(0, kTimeTextMax)),
                   "\" is not a duration; wanted a number and a unit such as 500ms, 30s, 5m, 1h "
                   "or 2d, or 0"));
  if (text.empty() || text.size() > kTimeTextMax) return bad;
  absl::Duration days = absl::ZeroDuration();
  const std::size_t day = text.find('d');
  if (day != std::string_view::npos) {
    double count = 0;
    if (!absl::SimpleAtod(absl::string_view(text.data(), day), &count)) return bad;
    days = count * absl::Hours(24);
    text.remove_prefix(day + 1);
    if (text.empty() && days > -absl::InfiniteDuration() && days < absl::InfiniteDuration()) {
      return days;
    }
  }
  absl::Duration rest;
  if (!absl::ParseDuration(absl::string_view(text.data(), text.size()), &rest)) return bad;
  const absl::Duration sum = days + rest;
  if (sum == absl::InfiniteDuration() || sum == -absl::InfiniteDuration()) return bad;
  return sum;
}

absl::StatusOr<absl::Time> ParseTimeText(std::string_view text) {
  if (text.empty() || text.size() > kTimeTextMax) return BadTime(text);
  const absl::string_view given(text.data(), text.size());
  double unix_seconds = 0;
  absl::Time time;
  if (absl::SimpleAtod(given, &unix_seconds)) {
    if (!std::isfinite(unix_seconds)) return BadTime(text);
    // Milliseconds are exact enough: a double holds today's Unix time to a fraction of one.
    constexpr double kUnixSecondsMax = 253402300800;
    if (std::fabs(unix_seconds) > kUnixSecondsMax) return BadTime(text);
    time = absl::FromUnixMillis(std::llround(unix_seconds * 1000));
    return InProtobufRange(time) ? absl::StatusOr<absl::Time>(time) : BadTime(text);
  }
  constexpr std::array<const char*, 4> kFormats = {"%Y-%m-%dT%H:%M:%E*S%Ez", "%Y-%m-%dT%H:%M:%E*S",
                                                   "%Y-%m-%d %H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S"};
  for (const char* format : kFormats) {
    if (absl::ParseTime(format, given, &time, nullptr) && InProtobufRange(time)) return time;
  }
  return BadTime(text);
}

bool IsUtc(std::string_view time_zone) { return time_zone.empty() || time_zone == "UTC"; }

std::string ZoneWanted(std::string_view time_zone) {
  return absl::StrCat("a time without a zone, in a pool whose time_zone is ",
                      PrintableText(time_zone),
                      "; wanted one with it, such as 2026-05-01T09:30:00+02:00 or "
                      "2026-05-01T07:30:00Z");
}

bool LacksZone(std::string_view text) {
  const std::size_t time_of_day = text.find_first_of("T ");
  return time_of_day != std::string_view::npos &&
         text.find_first_of("Z+-", time_of_day) == std::string_view::npos;
}

}  // namespace shadow
