#include "client/text.h"

#include <catch2/catch.hpp>
#include <string>

namespace shadow {
namespace {

TEST_CASE("text for a terminal is one line and cannot steer it") {
  CHECK(PrintableText("web") == "web");
  CHECK(PrintableText("größe €") == "größe €");
  CHECK(PrintableText("a\x1b[31mred") == "a?[31mred");
  CHECK(PrintableText("two\nlines\tand\r") == "two lines and ");
  CHECK(PrintableText("c1 \xC2\x9B del \x7F") == "c1 ? del ?");
  CHECK(PrintableText("\xE2\x80\xAE"
                      "evil") == "?evil");  // Right-to-left override.
  CHECK(PrintableText("bad \xFF\xC3") == "bad \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("UTF-8 is valid only in its shortest form, without surrogates, up to U+10FFFF") {
  CHECK(IsValidUtf8(""));
  CHECK(IsValidUtf8("\xF4\x8F\xBF\xBF"));
  CHECK_FALSE(IsValidUtf8("\xC0\x80"));
  CHECK_FALSE(IsValidUtf8("\xE0\x80\x80"));
  CHECK_FALSE(IsValidUtf8("\xED\xA0\x80"));
  CHECK_FALSE(IsValidUtf8("\xF4\x90\x80\x80"));
  CHECK_FALSE(IsValidUtf8("\xE2\x82"));
  CHECK_FALSE(IsValidUtf8("\x80"));
}

TEST_CASE("durations are accepted with a unit and rejected without") {
  const struct {
    const char* text;
    absl::Duration duration;
  } accepted[] = {{"500ms", absl::Milliseconds(500)},
                  {"30s", absl::Seconds(30)},
                  {"5m", absl::Minutes(5)},
                  {"1h30m", absl::Minutes(90)},
                  {"2d", absl::Hours(48)},
                  {"1d12h", absl::Hours(36)},
                  {"0", absl::ZeroDuration()},
                  {"0.25s", absl::Milliseconds(250)}};
  for (const auto& one : accepted) {
    INFO(one.text);
    const auto parsed = ParseDurationText(one.text);
    REQUIRE(parsed.ok());
    CHECK(*parsed == one.duration);
  }
  for (const char* text : {"", "5", "h", "5 m", "1w", "inf", "infd", "d", "1d2"}) {
    INFO(text);
    CHECK_FALSE(ParseDurationText(text).ok());
  }
}

TEST_CASE("times are accepted as ISO 8601 or Unix seconds and rejected otherwise") {
  const absl::Time noon = absl::FromUnixSeconds(1777636800);  // 2026-05-01T12:00:00Z
  for (const char* text :
       {"2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00",
        "2026-05-01 12:00:00", "1777636800", "1777636800.0"}) {
    INFO(text);
    const auto parsed = ParseTimeText(text);
    REQUIRE(parsed.ok());
    CHECK(*parsed == noon);
  }
  CHECK(*ParseTimeText("1777636800.25") == noon + absl::Milliseconds(250));
  CHECK(*ParseTimeText("2026-05-01T12:00:00.25Z") == noon + absl::Milliseconds(250));
  for (const char* text : {"", "yesterday", "2026-05-01", "2026-13-01T00:00:00Z", "nan", "inf",
                           "1e18", "infinite-future", "12:00"}) {
    INFO(text);
    CHECK_FALSE(ParseTimeText(text).ok());
  }
}

TEST_CASE("a time that says its zone is told from one that does not") {
  for (const char* text : {"2026-05-01T12:00:00Z", "2026-05-01 14:00:00.5+02:00",
                           "2026-05-01T12:00:00-00:30", "1777636800", "-1.5"}) {
    INFO(text);
    CHECK(ParseTimeText(text).ok());
    CHECK_FALSE(LacksZone(text));
  }
  for (const char* text : {"2026-05-01T12:00:00", "2026-05-01 12:00:00.25"}) {
    INFO(text);
    CHECK(ParseTimeText(text).ok());
    CHECK(LacksZone(text));
  }
}

TEST_CASE("numbers and durations are shown short") {
  CHECK(NumberText(12.5) == "12.5");
  CHECK(NumberText(1200) == "1200");
  CHECK(NumberText(1.0 / 3) == "0.333");
  CHECK(NumberText(-0.0001) == "0");
  CHECK(NumberText(123456789) == "123456789");
  CHECK(ShortDuration(absl::Milliseconds(250)) == "250ms");
  CHECK(ShortDuration(absl::Seconds(59)) == "59s");
  CHECK(ShortDuration(absl::Seconds(200)) == "3m");
  CHECK(ShortDuration(absl::Hours(47)) == "47h");
  CHECK(ShortDuration(absl::Hours(72)) == "3d");
  CHECK(ShortDuration(absl::Seconds(-5)) == "-5s");
  CHECK(TimeText(absl::FromUnixSeconds(0)) == "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace shadow
