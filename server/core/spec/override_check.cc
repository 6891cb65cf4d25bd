#include "server/core/spec/override_check.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec/bounds.h"

namespace shadow {
namespace {

// All clocks of all zones have changed and changed back within it.
constexpr absl::Duration kYear = absl::Hours(24 * 7 * 54);
constexpr int64_t kSomeYearUnixSeconds = 1'767'225'600;  // 2026: where no override has a time.
constexpr int kDaysOfWeekly = 7;                         // The longest window of a week.

struct Span {
  absl::Time begin;
  absl::Time end;  // Not in it.
};
using Spans = std::vector<Span>;  // Ascending, and apart from each other.

Spans InForceWithin(const CompiledOverride& override, const Span& window) {
  const Span times = {std::max(override.start, window.begin), std::min(override.end, window.end)};
  if (times.begin >= times.end) return {};
  if (!override.weekly.has_value()) return {times};
  const CompiledOverride::Weekly& weekly = *override.weekly;
  const absl::CivilDay last(absl::ToCivilSecond(times.end, weekly.zone));
  absl::CivilDay day(absl::ToCivilSecond(times.begin, weekly.zone));
  Spans spans;
  for (day -= kDaysOfWeekly; day <= last; ++day) {
    if (!weekly.days.test(static_cast<size_t>(absl::GetWeekday(day)))) continue;
    const absl::Time begin =
        absl::FromCivil(absl::CivilMinute(day) + weekly.start_minute, weekly.zone);
    const Span span = {std::max(begin, times.begin), std::min(begin + weekly.duration, times.end)};
    if (span.begin >= span.end) continue;
    if (!spans.empty() && span.begin <= spans.back().end) {
      spans.back().end = std::max(spans.back().end, span.end);
    } else {
      spans.push_back(span);
    }
  }
  return spans;
}

Spans Without(const Spans& spans, const Spans& taken) {
  Spans left;
  size_t next = 0;
  for (Span span : spans) {
    while (next < taken.size() && taken[next].end <= span.begin) ++next;
    for (size_t i = next; i < taken.size() && taken[i].begin < span.end; ++i) {
      if (taken[i].begin > span.begin) left.push_back({span.begin, taken[i].begin});
      span.begin = taken[i].end;
    }
    if (span.begin < span.end) left.push_back(span);
  }
  return left;
}

absl::Duration Length(const Spans& spans) {
  absl::Duration length;
  for (const Span& span : spans) length += span.end - span.begin;
  return length;
}

// Between two of them the same overrides may be in force, by the week alone.
std::vector<Span> WindowsOf(const std::vector<CompiledOverride>& overrides) {
  std::vector<absl::Time> turns;
  for (const CompiledOverride& override : overrides) {
    if (override.start != absl::InfinitePast()) turns.push_back(override.start);
    if (override.end != absl::InfiniteFuture()) turns.push_back(override.end);
  }
  if (turns.empty()) turns.push_back(absl::FromUnixSeconds(kSomeYearUnixSeconds));
  std::sort(turns.begin(), turns.end());
  turns.erase(std::unique(turns.begin(), turns.end()), turns.end());
  std::vector<Span> windows = {{turns.front() - kYear, turns.front()}};
  for (size_t i = 0; i < turns.size(); ++i) {
    const absl::Time end = i + 1 < turns.size() ? turns[i + 1] : absl::InfiniteFuture();
    windows.push_back({turns[i], std::min(end, turns[i] + kYear)});
  }
  return windows;
}

struct Maximum {
  int instances = 0;
  std::string of;  // "of the policy"
};

void Raise(std::optional<Maximum>& highest, int instances, std::string of) {
  if (highest.has_value() && highest->instances >= instances) return;
  highest = Maximum{.instances = instances, .of = std::move(of)};
}

// Takes into account the maxima in force in a window while `mine` is. `in_force`: by override.
void RaiseWithin(const CompiledPool& pool, const std::vector<Spans>& in_force, Spans mine,
                 std::optional<Maximum>& highest) {
  for (size_t i = pool.overrides.size(); i-- > 0 && !mine.empty();) {  // The last one wins.
    const CompiledOverride& other = pool.overrides[i];
    if (!other.max_instances.has_value()) continue;
    Spans left = Without(mine, in_force[i]);
    if (Length(left) == Length(mine)) continue;
    Raise(highest, *other.max_instances, absl::StrCat("of overrides[", i, "]"));
    mine = std::move(left);
  }
  if (!mine.empty()) Raise(highest, pool.pool.policy().max_shadow_instances(), "of the policy");
}

}  // namespace

absl::Status CheckOverrides(const CompiledPool& pool) {
  const std::vector<CompiledOverride>& overrides = pool.overrides;
  int lowest = pool.pool.policy().max_shadow_instances();
  for (const CompiledOverride& override : overrides) {
    lowest = std::min(lowest, override.max_instances.value_or(lowest));
  }
  const auto may_be_cut = [lowest](const CompiledOverride& override) {
    return !override.max_instances.has_value() && override.min_instances.value_or(0) > lowest;
  };
  if (std::none_of(overrides.begin(), overrides.end(), may_be_cut)) return absl::OkStatus();

  std::vector<std::optional<Maximum>> highest(overrides.size());  // Unset: never in force.
  for (const Span& window : WindowsOf(overrides)) {
    std::vector<Spans> in_force;
    in_force.reserve(overrides.size());
    for (const CompiledOverride& override : overrides) {
      in_force.push_back(InForceWithin(override, window));
    }
    for (size_t i = 0; i < overrides.size(); ++i) {
      if (may_be_cut(overrides[i])) RaiseWithin(pool, in_force, in_force[i], highest[i]);
    }
  }
  for (size_t i = 0; i < overrides.size(); ++i) {
    if (!highest[i].has_value() || *overrides[i].min_instances <= highest[i]->instances) continue;
    return FieldError(
        absl::StrCat("pool.policy.overrides[", i, "].min_shadow_instances"),
        absl::StrCat(*overrides[i].min_instances, " is above the maximum then, ",
                     highest[i]->instances, " ", highest[i]->of,
                     ", so it could never be kept; set max_shadow_instances beside it"));
  }
  return absl::OkStatus();
}

}  // namespace shadow
