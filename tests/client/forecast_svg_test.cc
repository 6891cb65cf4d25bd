#include "client/output/forecast_svg.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client/some_forecast.h"

namespace shadow {
namespace {

// What keeps `text` from being well-formed, for the XML that a picture is made of: elements with
// attributes and text, without comments or sections. Empty: nothing.
std::string XmlFault(std::string_view text) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t tag = text.find('<', at);
    const std::string_view before = text.substr(at, tag == text.npos ? tag : tag - at);
    if (open.empty() && before != "" && before != "\n") return "text outside of the document";
    if (before.find('>') != before.npos) return "a bare >";
    for (std::size_t i = before.find('&'); i != before.npos; i = before.find('&', i + 1)) {
      const std::string_view entity = before.substr(i, before.find(';', i) + 1 - i);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" &&
          entity != "&#39;") {
        return "an unknown entity";
      }
    }
    if (tag == text.npos) break;
    const std::size_t end = text.find('>', tag);
    if (end == text.npos) return "an open tag";
    const std::string_view inside = text.substr(tag + 1, end - tag - 1);
    const std::string name(inside.substr(0, inside.find_first_of(" /", 1)));
    if (std::count(inside.begin(), inside.end(), '"') % 2 != 0) return "an open attribute";
    if (inside.starts_with('/')) {
      if (open.empty() || "/" + open.back() != name) return "an unexpected <" + name + ">";
      open.pop_back();
    } else if (!inside.ends_with('/')) {
      open.push_back(name);
    }
    at = end + 1;
  }
  return open.empty() ? "" : "an open <" + open.back() + ">";
}

TEST_CASE("a forecast is drawn as SVG") {
  // 8 slots of 103.75 pixels from 80 to 910; 276 pixels are 40, so that 10 lies at 340 - 69 = 271.
  const std::string svg = ForecastSvg(SomeForecast(), {.pool = "pools/web", .unit = "requests/s"});
  CHECK(XmlFault(svg) == "");
  const std::string head =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"420\""
      " viewBox=\"0 0 960 420\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<title>pools/web, requests/s</title>\n"
      "<rect width=\"960\" height=\"420\" fill=\"#fff\"/>\n"
      "<text x=\"80\" y=\"28\" font-size=\"16\">pools/web</text>\n"
      "<text x=\"80\" y=\"52\">demand, requests/s</text>\n"
      "<path stroke=\"#444\" d=\"M80 340H910\"/>\n"
      "<text x=\"72\" y=\"344\" text-anchor=\"end\">0</text>\n"
      "<path stroke=\"#ddd\" d=\"M80 284.8H910\"/>\n"
      "<text x=\"72\" y=\"288.8\" text-anchor=\"end\">8</text>\n";
  CHECK(svg.substr(0, head.size()) == head);
  CHECK_THAT(svg, Catch::Contains("<text x=\"72\" y=\"68\" text-anchor=\"end\">40</text>\n"
                                  "<text x=\"80\" y=\"384\">time, UTC: 1970-01-01T00:00:00Z to "
                                  "1970-01-01T00:08:00Z</text>\n"
                                  "<path stroke=\"#444\" d=\"M80 340v5\"/>\n"
                                  "<text x=\"80\" y=\"360\" text-anchor=\"middle\">"
                                  "01-01 00:00Z</text>\n"
                                  "<path stroke=\"#444\" d=\"M183.8 340v5\"/>\n"
                                  "<text x=\"183.8\" y=\"360\" text-anchor=\"middle\">"
                                  "01-01 00:01Z</text>\n"));
  const std::string curves =
      "<path fill=\"#06c\" fill-opacity=\"0.2\" d=\"M495 305.5V98.5H598.8V98.5H702.5V98.5H806.3"
      "V98.5H910V305.5H806.3V305.5H702.5V305.5H598.8V305.5H495Z\"/>\n"
      "<path fill=\"none\" stroke=\"#444\" d=\"M80 271H183.8V202H287.5M391.3 340H495\"/>\n"
      "<path fill=\"none\" stroke=\"#06c\" stroke-width=\"2\""
      " d=\"M495 236.5H598.8V236.5H702.5V236.5H806.3V236.5H910\"/>\n"
      "<path stroke=\"#444\" stroke-dasharray=\"4\" d=\"M495 64V340\"/>\n"
      "<text x=\"499\" y=\"76\">now</text>\n"
      "<path fill=\"none\" stroke=\"#444\" d=\"M610 48h20\"/>\n"
      "<text x=\"636\" y=\"52\">history</text>\n"
      "<path fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" d=\"M700 48h20\"/>\n"
      "<text x=\"726\" y=\"52\">median</text>\n"
      "<path fill=\"#06c\" fill-opacity=\"0.2\" d=\"M790 43h20v10h-20Z\"/>\n"
      "<text x=\"816\" y=\"52\">5% to 95%</text>\n"
      "<text x=\"80\" y=\"406\">trust: TOO_LITTLE_DATA: 3 steps</text>\n"
      "</svg>\n";
  REQUIRE(svg.size() > curves.size());
  CHECK(svg.substr(svg.size() - curves.size()) == curves);
}

TEST_CASE("the lines of the pool are drawn beside the forecast, each with its word") {
  v1::Pool pool;
  pool.set_time_zone("America/New_York");  // Five hours behind UTC at the time of SomeForecast.
  const PoolLines lines = {.base = 10, .ready = 20, .service_level = 0.95};
  const std::string svg =
      ForecastSvg(SomeForecast(), {.pool = "pools/web", .clock = ClockOf(pool), .lines = lines});
  CHECK(XmlFault(svg) == "");
  // 10 lies at 271, 20 at 202, and the quantile at 0.95, 35, at 98.5. The forecast begins at 495.
  CHECK_THAT(svg, Catch::Contains(" d=\"M80 271H910\"/>") && Catch::Contains(">base 10</text>"));
  CHECK_THAT(svg,
             Catch::Contains(" d=\"M495 202H910\"/>") && Catch::Contains(">ready now 20</text>"));
  CHECK_THAT(svg, Catch::Contains("\"3 2\" d=\"M495 98.5H598.8") &&
                      Catch::Contains(">service level 95%</text>"));
  CHECK_THAT(svg, Catch::Contains("height=\"442\"") && Catch::Contains("y=\"428\">trust: "));
  CHECK_THAT(svg, Catch::Contains(">time, America/New_York: 1969-12-31T19:00:00-05:00 to ") &&
                      Catch::Contains(">12-31 19:00</text>"));
  const std::string high = ForecastSvg(SomeForecast(), {.pool = "", .lines = {.ready = 900}});
  CHECK_THAT(high, Catch::Contains(">1000</text>"));  // The axis reaches above every line.
}

TEST_CASE("text that is long stays within the picture") {
  const std::string name(300, 'n');
  v1::Forecast forecast = SomeForecast();
  forecast.mutable_points(0)->set_values(2, 123456789012);
  const std::string svg = ForecastSvg(forecast, {.pool = name, .unit = name});
  CHECK_THAT(svg, Catch::Contains(">" + std::string(80, 'n') + "...</text>") &&
                      Catch::Contains(">demand, " + std::string(60, 'n') + "...</text>") &&
                      Catch::Contains("textLength=\"68\""));
  forecast.mutable_points()->DeleteSubrange(1, 3);
  forecast.clear_history();
  for (int i = 0; i < 40; ++i) {
    v1::Sample& sample = *forecast.add_history();
    sample.mutable_time()->set_seconds(240 - 60 * (40 - i));
    sample.set_value(1);
  }
  CHECK_THAT(ForecastSvg(forecast, {.pool = "pools/web"}),
             Catch::Contains(" text-anchor=\"end\">now</text>"));
}

TEST_CASE("a missing step of the forecast parts median and band") {
  v1::Forecast forecast = SomeForecast();
  forecast.clear_history();
  forecast.mutable_points(1)->clear_values();  // 4 slots of 207.5 pixels.
  const std::string svg = ForecastSvg(forecast, {.pool = "pools/web", .unit = ""});
  CHECK_THAT(svg, Catch::Contains(" d=\"M80 305.5V98.5H287.5V305.5H80Z"
                                  "M495 305.5V98.5H702.5V98.5H910V305.5H702.5V305.5H495Z\"/>") &&
                      Catch::Contains(" d=\"M80 236.5H287.5M495 236.5H702.5V236.5H910\"/>") &&
                      Catch::Contains(">demand</text>") && !Catch::Contains("history"));
}

TEST_CASE("the marks of time are round and at most nine") {
  const struct {
    int step_seconds;
    int points;
    const char* first;
    const char* second;
  } table[] = {{1, 10, ">00:00:00Z<", ">00:00:02Z<"},
               {60, 60, ">01-01 00:00Z<", ">01-01 00:10Z<"},
               {300, 288, ">01-01 00:00Z<", ">01-01 03:00Z<"},
               {3600, 168, ">1970-01-01<", ">1970-01-02<"},
               {3600, 2016, ">1970-01-01<", ">1970-01-15<"}};
  for (const auto& row : table) {
    v1::Forecast forecast;
    forecast.add_quantiles(0.5);
    forecast.mutable_step()->set_seconds(row.step_seconds);
    for (int i = 0; i < row.points; ++i) {
      v1::Forecast::Point& point = *forecast.add_points();
      point.mutable_time()->set_seconds(i * row.step_seconds);
      point.add_values(1);
    }
    const std::string svg = ForecastSvg(forecast, {.pool = "pools/web", .unit = ""});
    const std::size_t first = svg.find(row.first);
    INFO(svg);
    REQUIRE(first != std::string::npos);
    CHECK(svg.find(row.second) > first);
    const std::string_view mark = "text-anchor=\"middle\"";
    int marks = 0;
    for (std::size_t at = svg.find(mark); at != svg.npos; at = svg.find(mark, at + 1)) ++marks;
    CHECK(marks > 3);
    CHECK(marks <= 9);
  }
}

TEST_CASE("a long reason has lines of its own, and the picture room for them") {
  v1::Forecast forecast;
  forecast.set_trust(v1::TRUSTED);
  std::string reason;
  for (int i = 100; i < 170; ++i) absl::StrAppend(&reason, i > 100 ? " " : "", i);
  forecast.set_trust_reason(reason);
  const std::string svg = ForecastSvg(forecast, {.pool = "pools/web", .unit = ""});
  CHECK_THAT(svg, Catch::Matchers::Contains("height=\"452\" viewBox=\"0 0 960 452\""));
  CHECK_THAT(svg, Catch::Matchers::Contains("<text x=\"80\" y=\"406\">trust: TRUSTED: 100 101"));
  CHECK_THAT(svg, Catch::Matchers::Contains("<text x=\"80\" y=\"422\">12"));
  CHECK_THAT(svg, Catch::Matchers::Contains("<text x=\"80\" y=\"438\">15"));
  CHECK_THAT(svg, Catch::Matchers::Contains(" 169</text>\n</svg>"));
  // A word longer than a line.
  forecast.set_trust_reason(absl::StrCat(std::string(500, 'x'), " after"));
  CHECK_THAT(ForecastSvg(forecast, {.pool = "pools/web", .unit = ""}),
             Catch::Matchers::Contains("x</text>\n<text x=\"80\" y=\"438\">after</text>\n</svg>"));
}

TEST_CASE("text of the host is escaped, whatever it holds") {
  v1::Forecast forecast = SomeForecast();
  forecast.set_trust_reason("]]>\x01\xFF\xEF\xBF\xBF<!--");
  for (const bool empty : {false, true}) {
    if (empty) forecast.clear_points();
    const std::string svg = ForecastSvg(forecast, {.pool = "<script>\"'", .unit = "a&b"});
    INFO(svg);
    CHECK(XmlFault(svg) == "");
    CHECK_THAT(svg, Catch::Contains("<title>&lt;script&gt;&quot;&#39;, a&amp;b</title>") &&
                        Catch::Contains("]]&gt;?\xEF\xBF\xBD\xEF\xBF\xBD&lt;!--</text>"));
    CHECK((svg.find("no forecast") != svg.npos) == empty);
  }
}

}  // namespace
}  // namespace shadow
