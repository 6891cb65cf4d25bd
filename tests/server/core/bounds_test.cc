#include "server/core/spec/bounds.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>

#include "server/core/error.h"
#include "server/core/spec.h"

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

TEST_CASE("a minimum that no maximum allows is refused, and one that some may allow is not") {
  const auto check = [](const std::string& overrides) { return CheckOverrides(With(overrides)); };
  CHECK(check("overrides { min_shadow_instances: 10 }").ok());
  CHECK(check("overrides { min_shadow_instances: 20 max_shadow_instances: 20 }").ok());
  CHECK(
      check("overrides { min_shadow_instances: 20 } overrides { max_shadow_instances: 30 }").ok());
  const absl::Status above = check(
      "overrides { max_shadow_instances: 5 } "
      "overrides { description: 'sale' min_shadow_instances: 11 }");
  CHECK(absl::IsInvalidArgument(above));
  CHECK(ErrorField(above) == "pool.policy.overrides[1].min_shadow_instances");
  CHECK_THAT(std::string(above.message()),
             Catch::Contains("11 is above the maximum then, 10; set max_shadow_instances"));
}

}  // namespace shadow
