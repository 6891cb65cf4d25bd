#include "client/import/import_time.h"

#include <cmath>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/text.h"

namespace shadow {
namespace {

// From when a count is of the next smaller unit: 1973 and later in each.
constexpr double kMillisMin = 1e11;
constexpr double kMicrosMin = 1e14;
constexpr double kNanosMin = 1e17;
constexpr double kSecondsMin = 1e8;
constexpr double kNanosMax = 9e18;
constexpr int kYearMax = 9999;

constexpr const char* kForms[] = {"%Y-%m-%d %H:%M:%E*S",
                                  "%Y-%m-%dT%H:%M:%E*S",
                                  "%Y-%m-%d %H:%M",
                                  "%Y-%m-%dT%H:%M",
                                  "%Y/%m/%d %H:%M:%E*S",
                                  "%Y/%m/%d %H:%M",
                                  "%d.%m.%Y %H:%M:%E*S",
                                  "%d.%m.%Y, %H:%M:%E*S",
                                  "%d.%m.%Y %H:%M",
                                  "%Y-%m-%d",
                                  "%Y/%m/%d",
                                  "%d.%m.%Y"};

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status NoTime(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", PrintableText(text),
      "\" is not a time; wanted ISO 8601 such as 2026-05-01T09:30:00Z, or a count since 1970"));
}

absl::StatusOr<ImportedTime> FromCount(double count, std::string_view text) {
  const struct {
    double min;
    absl::Duration unit;
    const char* form;
  } units[] = {{kNanosMin, absl::Nanoseconds(1), "epoch nanoseconds"},
               {kMicrosMin, absl::Microseconds(1), "epoch microseconds"},
               {kMillisMin, absl::Milliseconds(1), "epoch milliseconds"},
               {kSecondsMin, absl::Seconds(1), "epoch seconds"}};
  if (!(count < kNanosMax)) return NoTime(text);
  for (const auto& unit : units) {
    if (count < unit.min) continue;
    ImportedTime time;
    // To the microsecond: a double has no more.
    const double micros = std::round(count * absl::ToDoubleMicroseconds(unit.unit));
    time.time = absl::FromUnixMicros(static_cast<int64_t>(micros));
    time.later = time.time;
    time.form = unit.form;
    return time;
  }
  return NoTime(text);
}

bool LooksAmbiguous(std::string_view text) {
  return text.size() > 4 && (text[1] == '/' || text[2] == '/');
}

}  // namespace

absl::StatusOr<ImportedTime> ParseImportedTime(std::string_view text, absl::TimeZone zone) {
  // Words such as "infinite-future" are times to Abseil.
  if (text.empty() || text.front() < '0' || text.front() > '9') return NoTime(text);
  double count = 0;
  if (absl::SimpleAtod(View(text), &count)) return FromCount(count, text);
  ImportedTime time;
  time.form = "date and time";
  if (const absl::StatusOr<absl::Time> whole = ParseTimeText(text);
      whole.ok() && !LacksZone(text)) {
    time.time = time.later = *whole;
    return time;
  }
  time.zoneless = true;
  for (const char* form : kForms) {
    absl::Time in_utc;
    std::string error;
    if (!absl::ParseTime(form, View(text), absl::UTCTimeZone(), &in_utc, &error)) continue;
    const absl::CivilSecond civil = absl::ToCivilSecond(in_utc, absl::UTCTimeZone());
    if (civil.year() < 1 || civil.year() > kYearMax) return NoTime(text);
    const absl::Duration rest = in_utc - absl::FromCivil(civil, absl::UTCTimeZone());
    const absl::TimeZone::TimeInfo info = zone.At(civil);
    if (info.kind == absl::TimeZone::TimeInfo::SKIPPED) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", PrintableText(text), "\" is never shown by the clocks of ", zone.name()));
    }
    time.time = info.pre + rest;
    time.later = info.post + rest;
    return time;
  }
  if (LooksAmbiguous(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", PrintableText(text), "\" may be of two months; wanted a date such as 2026-05-01"));
  }
  return NoTime(text);
}

}  // namespace shadow
