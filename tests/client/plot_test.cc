#include "client/output/plot.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/output/forecast_chart.h"
#include "tests/client/some_forecast.h"

namespace shadow {
namespace {

TEST_CASE("a forecast is plotted in ASCII") {
  // The top is 40, so that a row of four stands for 10: 20 fills two, 35 is in the fourth.
  CHECK(PlotForecast(SomeForecast(), {.title = "pools/web", .columns = 40, .rows = 4}) ==
        "pools/web\n"
        "40 |    ....\n"
        "   |    ....\n"
        "20 | #  oooo\n"
        "   |## _....\n"
        " 0 +----^---\n"
        "    01-01 00:00\n"
        "# history  o median  . 5% to 95%  ^ now  times in UTC\n"
        "trust: TOO_LITTLE_DATA: 3 steps\n");
}

TEST_CASE("a forecast is plotted in blocks") {
  CHECK(PlotForecast(SomeForecast(),
                     {.title = "pools/web", .columns = 40, .rows = 4, .blocks = true}) ==
        "pools/web\n"
        "40 │    ░░░░\n"
        "   │    ░░░░\n"
        "20 │ █  ▓▓▓▓\n"
        "   │██ ▁░░░░\n"
        " 0 └────^───\n"
        "    01-01 00:00\n"
        "█ history  ▓ median  ░ 5% to 95%  ^ now  times in UTC\n"
        "trust: TOO_LITTLE_DATA: 3 steps\n");
}

TEST_CASE("a plot has the lines of the pool, and says whose clock it goes by") {
  v1::Pool pool;
  pool.set_time_zone("Europe/Berlin");
  pool.set_managed_instances(2);
  pool.set_instance_capacity(6);
  pool.set_serving_base_instances(1);
  pool.mutable_policy()->set_service_level(0.95);
  v1::ShadowPool shadow;
  shadow.set_suspended_instances(2);
  shadow.set_serving_instances(1);
  // The base is 2 x 6 = 12, ready are (1 + 2 + 1) x 6 = 24, and the quantile at 0.95 is 35.
  const PlotOptions options = {.title = "pools/web",
                               .columns = 40,
                               .rows = 4,
                               .clock = ClockOf(pool),
                               .lines = LinesOf(pool, std::span(&shadow, 1))};
  CHECK(PlotForecast(SomeForecast(), options) ==
        "pools/web\n"
        "40 |    ~~~~\n"
        "   |    ====\n"
        "20 |-#--oooo\n"
        "   |## _....\n"
        " 0 +----^---\n"
        "    01-01 01:00\n"
        "# history  o median  . 5% to 95%  ^ now  times in Europe/Berlin\n"
        "- base 12  = ready now 24  ~ service level 95%\n"
        "trust: TOO_LITTLE_DATA: 3 steps\n");
  pool.set_time_zone("Nowhere/Never");
  CHECK(ClockOf(pool).name == "UTC");
}

TEST_CASE("a service level lies between the quantiles around it, or nowhere") {
  const struct {
    double level;
    std::optional<double> demand;
  } table[] = {{0.5, 15}, {0.725, 25}, {0.95, 35}, {0.99, std::nullopt}, {0.01, std::nullopt}};
  for (const auto& row : table) {
    const Chart chart = ChartOf(SomeForecast(), row.level);
    REQUIRE(chart.slots.size() == 8);
    CHECK_FALSE(chart.slots[0].at_level);
    REQUIRE(chart.slots[4].at_level.has_value() == row.demand.has_value());
    if (row.demand) CHECK(*chart.slots[4].at_level == Approx(*row.demand));
  }
}

TEST_CASE("colours tell the median from the band and end with the line") {
  CHECK(PlotForecast(SomeForecast(),
                     {.title = "pools/web", .columns = 40, .rows = 2, .colour = true}) ==
        "pools/web\n"
        "40 |    \x1b[36m....\x1b[0m\n"
        "20 |## _\x1b[33moooo\x1b[0m\n"
        " 0 +----^---\n"
        "    01-01 00:00\n"
        "# history  \x1b[33mo\x1b[0m median  \x1b[36m.\x1b[0m 5% to 95%  ^ now  times in UTC\n"
        "trust: TOO_LITTLE_DATA: 3 steps\n");
}

TEST_CASE("a long forecast is squeezed into the columns there are") {
  v1::Forecast forecast;
  forecast.add_quantiles(0.5);
  forecast.mutable_step()->set_seconds(1);
  for (int i = 0; i < 1000; ++i) {
    v1::Forecast::Point& point = *forecast.add_points();
    point.mutable_time()->set_seconds(i);
    point.add_values(i % 10);
  }
  const std::string plot = PlotForecast(forecast, {.title = "", .columns = 50, .rows = 3});
  std::size_t begin = 0;
  for (std::size_t end = plot.find('\n'); end != std::string::npos;
       begin = end + 1, end = plot.find('\n', begin)) {
    CHECK(end - begin <= 50);
  }
  CHECK_THAT(plot, Catch::Contains("00:00:00") && Catch::Contains("00:16:40"));
}

TEST_CASE("an empty forecast says so") {
  CHECK(PlotForecast(v1::Forecast(), {.title = "pools/web"}) ==
        "pools/web\nno forecast\ntrust: TRUST_UNSPECIFIED\n");
}

TEST_CASE("a chart holds all the history, and what is not finite is missing") {
  v1::Forecast forecast = SomeForecast();
  forecast.mutable_points()->DeleteSubrange(2, 2);
  forecast.mutable_history(0)->set_value(std::numeric_limits<double>::quiet_NaN());
  forecast.mutable_points(1)->set_values(2, std::numeric_limits<double>::infinity());
  const Chart chart = ChartOf(forecast);
  CHECK(chart.history_slots == 4);
  REQUIRE(chart.slots.size() == 6);
  CHECK(chart.first == absl::UnixEpoch());
  CHECK(chart.TimeOf(6) == absl::FromUnixSeconds(360));
  CHECK_FALSE(chart.slots[0].history);
  CHECK(chart.slots[1].history == 20);
  CHECK_FALSE(chart.slots[2].history);
  CHECK(chart.slots[3].history == 0);
  REQUIRE(chart.slots[4].band);
  CHECK(chart.slots[4].band->low == 5);
  CHECK(chart.slots[4].band->median == 15);
  CHECK(chart.slots[4].band->high == 35);
  CHECK_FALSE(chart.slots[5].band);
}

TEST_CASE("an axis ends at a round number that is not below the demand") {
  const struct {
    double highest;
    const char* top;
  } table[] = {{0, "1"},        {-5, "1"},          {1, "1"},           {1.2, "1.5"},
               {73, "80"},      {81, "100"},        {0.0004, "0.0004"}, {2400000, "2500000"},
               {1e15, "1e+15"}, {1e-320, "1e-300"}, {1.7e308, "1e+300"}};
  for (const auto& row : table) {
    INFO(row.highest);
    const std::vector<Slot> slots = {{.history = row.highest, .band = {}}};
    CHECK(AxisText(AxisTop(slots)) == row.top);
  }
}

TEST_CASE("the words of a chart cannot steer a terminal") {
  v1::Forecast forecast;
  forecast.set_trust(v1::STALE);
  forecast.set_trust_reason("no\x1b[2J sample");
  CHECK(TitleText("pools/web", "") == "pools/web");
  CHECK(TitleText("pools/web", "\x1b]0;x") == "pools/web, ?]0;x");
  CHECK(TrustText(forecast) == "trust: STALE: no?[2J sample");
}

}  // namespace
}  // namespace shadow
