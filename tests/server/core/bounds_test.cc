#include "server/core/spec/bounds.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>

#include "server/core/error.h"
#include "server/core/spec.h"
#include "server/core/spec/override_check.h"

namespace shadow {
namespace {

CompiledPool With(const std::string& policy) {
  v1::Pool pool;
  const std::string text =
      "name: 'pools/web' dna: 'dnas/web' instance_capacity: 50 time_zone: 'Europe/Berlin' policy { "
      "min_shadow_instances: 1 max_shadow_instances: 10 " +
      policy + " }";
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &pool));
  auto compiled = CompilePool(pool);
  REQUIRE(compiled.status() == absl::OkStatus());
  return *std::move(compiled);
}

absl::Time Berlin(int month, int day, int hour, int minute = 0) {
  absl::TimeZone zone;
  REQUIRE(absl::LoadTimeZone("Europe/Berlin", &zone));
  return absl::FromCivil(absl::CivilMinute(2026, month, day, hour, minute), zone);
}

}  // namespace

TEST_CASE("without an override the policy bounds") {
  const Bounds bounds = BoundsAt(With(""), Berlin(5, 4, 12), absl::Minutes(5));
  CHECK(bounds.min_instances == 1);
  CHECK(bounds.max_instances == 10);
  CHECK(bounds.by.empty());
}

TEST_CASE("weekday mornings have a minimum, by the pool's clock, one lead early") {
  const CompiledPool pool = With(
      "overrides { description: 'opening' min_shadow_instances: 4 weekly { days: [MONDAY, TUESDAY] "
      "start_time_of_day: '08:00' duration { seconds: 7200 } } }");
  const auto min = [&](absl::Time now) {
    return BoundsAt(pool, now, absl::Minutes(10)).min_instances;
  };
  CHECK(min(Berlin(5, 4, 7, 49)) == 1);  // 4 May 2026 is a Monday.
  CHECK(min(Berlin(5, 4, 7, 50)) == 4);
  CHECK(min(Berlin(5, 4, 9, 59)) == 4);
  CHECK(min(Berlin(5, 4, 10, 0)) == 1);
  CHECK(min(Berlin(5, 5, 8, 0)) == 4);
  CHECK(min(Berlin(5, 6, 8, 0)) == 1);
  CHECK(BoundsAt(pool, Berlin(5, 4, 8), absl::ZeroDuration()).by == "opening");
  // After the clock change of 29 March it is still eight o'clock.
  CHECK(min(Berlin(3, 23, 8, 30)) == 4);
  CHECK(min(Berlin(3, 30, 8, 30)) == 4);
  CHECK(min(Berlin(3, 30, 7, 30)) == 1);
}

TEST_CASE("a window of a week may pass midnight, and days are those it begins on") {
  const CompiledPool pool = With(
      "overrides { max_shadow_instances: 2 weekly { days: FRIDAY start_time_of_day: '22:30' "
      "duration { seconds: 14400 } } }");
  const auto max = [&](absl::Time now) {
    return BoundsAt(pool, now, absl::ZeroDuration()).max_instances;
  };
  CHECK(max(Berlin(5, 8, 22, 29)) == 10);
  CHECK(max(Berlin(5, 8, 22, 30)) == 2);
  CHECK(max(Berlin(5, 9, 2, 29)) == 2);
  CHECK(max(Berlin(5, 9, 2, 30)) == 10);
  CHECK(max(Berlin(5, 9, 22, 30)) == 10);
}

TEST_CASE("a raised maximum expires, and the last override in force wins") {
  const CompiledPool pool = With(
      "overrides { max_shadow_instances: 50 min_shadow_instances: 20 "
      "start_time { seconds: 1000 } end_time { seconds: 2000 } } "
      "overrides { description: 'cap' max_shadow_instances: 15 end_time { seconds: 1500 } }");
  const auto at = [&](int64_t seconds) {
    return BoundsAt(pool, absl::FromUnixSeconds(seconds), absl::ZeroDuration());
  };
  CHECK(at(999).max_instances == 15);
  CHECK(at(1000).max_instances == 15);
  CHECK(at(1000).min_instances == 15);  // 20 do not fit.
  CHECK(at(1500).max_instances == 50);
  CHECK(at(1500).min_instances == 20);
  CHECK(at(2000).max_instances == 10);
  CHECK(at(2000).min_instances == 1);
}

TEST_CASE("a minimum above the maximum in force is cut to it, and what set it says so") {
  const CompiledPool pool = With(
      "overrides { description: 'sale' min_shadow_instances: 20 end_time { seconds: 1000 } } "
      "overrides { max_shadow_instances: 30 start_time { seconds: 500 } } "
      "overrides { min_shadow_instances: 40 start_time { seconds: 2000 } } "
      "overrides { max_shadow_instances: 50 start_time { seconds: 3000 } }");
  const auto at = [&](int64_t seconds) {
    return BoundsAt(pool, absl::FromUnixSeconds(seconds), absl::ZeroDuration());
  };
  CHECK(at(499).min_instances == 10);
  CHECK(at(499).by == "sale (minimum 20 cut to 10)");
  CHECK(at(500).by == "sale");  // 20 fit.
  CHECK(at(2000).min_instances == 30);
  CHECK(at(2000).by == "(minimum 40 cut to 30)");
  CHECK(at(3000).by.empty());
}

namespace {

std::string Weekly(const std::string& bounds, const std::string& days, const std::string& start,
                   int hours, const std::string& more = "") {
  return "overrides { " + bounds + " weekly { days: [" + days + "] start_time_of_day: '" + start +
         "' duration { seconds: " + std::to_string(hours * 3600) + " } " + more + " } } ";
}

std::string Between(const std::string& bounds, int64_t start, int64_t end) {
  return "overrides { " + bounds + " start_time { seconds: " + std::to_string(start) +
         " } end_time { seconds: " + std::to_string(end) + " } } ";
}

constexpr char kMin20[] = "min_shadow_instances: 20";  // The policy's maximum is 10.
constexpr char kMax30[] = "max_shadow_instances: 30";
constexpr char kMax5[] = "max_shadow_instances: 5";
constexpr int kWeekHours = 168;

}  // namespace

TEST_CASE("a minimum is accepted where a maximum in force with it allows it at some time") {
  const std::string tokyo = "time_zone: 'Asia/Tokyo'";
  const std::string new_york = "time_zone: 'America/New_York'";
  const std::string accepted[] = {
      "overrides { min_shadow_instances: 10 }",
      "overrides { min_shadow_instances: 20 max_shadow_instances: 20 }",
      std::string("overrides { ") + kMin20 + " } overrides { " + kMax30 + " }",
      // A lower maximum that is never in force with it.
      Weekly("min_shadow_instances: 8", "MONDAY", "08:00", 2) +
          Weekly(kMax5, "TUESDAY", "08:00", 2),
      Weekly("min_shadow_instances: 8", "MONDAY", "08:00", 2) + Weekly(kMax5, "MONDAY", "10:00", 2),
      Between("min_shadow_instances: 8", 1000, 2000) + Between(kMax5, 2000, 3000),
      // One that leaves it a part of its time.
      Weekly("min_shadow_instances: 8", "MONDAY", "08:00", 3) + Weekly(kMax5, "MONDAY", "08:00", 2),
      Weekly("min_shadow_instances: 8", "MONDAY", "08:00", 2) + Between(kMax5, 1000, 2000),
      // A higher one across midnight, across the end of the week, and by another clock.
      Weekly(kMin20, "SATURDAY", "01:00", 1) + Weekly(kMax30, "FRIDAY", "22:00", 4),
      Weekly(kMin20, "MONDAY", "01:00", 1) + Weekly(kMax30, "SUNDAY", "22:00", 4),
      Weekly(kMin20, "MONDAY", "01:00", 1) + Weekly(kMax30, "TUESDAY", "00:00", kWeekHours),
      Weekly(kMin20, "MONDAY", "01:00", 1) + Weekly(kMax30, "MONDAY", "09:00", 1, tokyo),
      // 08:00 in New York is 14:00 in Berlin, and 13:00 between the two changes of clocks.
      Weekly(kMin20, "MONDAY", "13:00", 1) + Weekly(kMax30, "MONDAY", "08:00", 1, new_york),
      // The last one that is in force wins.
      std::string("overrides { ") + kMax5 + " } " + Between(kMin20, 1000, 2000) +
          Between(kMax30, 1500, 1600),
      // It says a maximum of its own: a later one may cut it.
      Between("min_shadow_instances: 20 max_shadow_instances: 40", 1000, 2000) +
          Between(kMax5, 500, 2500),
      // It is never in force itself.
      Between(std::string(kMin20) +
                  " weekly { days: FRIDAY start_time_of_day: '08:00' duration { seconds: 60 } }",
              absl::ToUnixSeconds(Berlin(5, 4, 8)), absl::ToUnixSeconds(Berlin(5, 4, 9))),
  };
  for (const std::string& overrides : accepted) {
    INFO(overrides);
    CHECK(CheckOverrides(With(overrides)) == absl::OkStatus());
  }
}

TEST_CASE("a minimum that no maximum in force with it allows is refused, and both are named") {
  struct Refused {
    std::string overrides;
    int minimum_of;  // Its override.
    std::string why;
  };
  const std::string new_york = "time_zone: 'America/New_York'";
  const std::string above_policy = "20 is above the maximum then, 10 of the policy";
  const Refused refused[] = {
      {std::string("overrides { ") + kMax5 + " } overrides { min_shadow_instances: 11 }", 1,
       "11 is above the maximum then, 5 of overrides[0]"},
      {std::string("overrides { ") + kMin20 + " }", 0, above_policy},
      // A maximum that is high enough, and never in force with it.
      {Weekly(kMin20, "MONDAY", "08:00", 2) + Weekly(kMax30, "TUESDAY", "08:00", 2), 0,
       above_policy},
      {Weekly(kMin20, "MONDAY", "08:00", 2) + Weekly(kMax30, "MONDAY", "10:00", 2), 0,
       above_policy},
      {Weekly(kMin20, "SATURDAY", "02:00", 1) + Weekly(kMax30, "FRIDAY", "22:00", 4), 0,
       above_policy},
      {Weekly(kMin20, "MONDAY", "12:00", 1) + Weekly(kMax30, "MONDAY", "08:00", 1, new_york), 0,
       above_policy},
      {Between(kMin20, 1000, 2000) + Between(kMax30, 2000, 3000), 0, above_policy},
      {Weekly(kMin20, "MONDAY", "08:00", 2) +
           Between(std::string(kMax30) + " weekly { days: SUNDAY start_time_of_day: '08:00' "
                                         "duration { seconds: 3600 } }",
                   1000, 2'000'000'000),
       0, above_policy},
      // A later one that covers it all, in parts.
      {Weekly("min_shadow_instances: 8", "MONDAY", "08:00", 2) +
           Weekly(kMax5, "MONDAY", "07:00", 2) + Weekly(kMax5, "MONDAY", "09:00", 2),
       0, "8 is above the maximum then, 5 of overrides[2]"},
  };
  for (const Refused& row : refused) {
    INFO(row.overrides);
    const absl::Status status = CheckOverrides(With(row.overrides));
    CHECK(absl::IsInvalidArgument(status));
    CHECK(ErrorField(status) ==
          "pool.policy.overrides[" + std::to_string(row.minimum_of) + "].min_shadow_instances");
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(row.why) && Catch::Contains("set max_shadow_instances beside it"));
  }
}

}  // namespace shadow
