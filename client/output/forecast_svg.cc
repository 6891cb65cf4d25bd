#include "client/output/forecast_svg.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/output/forecast_chart.h"
#include "client/text.h"

namespace shadow {
namespace {

// Of the plot within the picture, pixels.
constexpr double kLeft = 80;
constexpr double kRight = 910;
constexpr double kTop = 64;
constexpr double kBottom = 340;

constexpr int kDemandTicks = 5;  // A fifth of what AxisTop returns is a short number.
constexpr double kTimeTicksMax = 8;

// Of the trust below the plot, by its baselines.
constexpr double kTrustTop = kBottom + 66;
constexpr double kLineHeight = 16;
constexpr double kLegendHeight = 22;
constexpr double kMarginBottom = 14;
constexpr std::size_t kLineBytesMax = 120;  // Within the picture in any usual font.
constexpr std::size_t kTitleBytesMax = 80;
constexpr std::size_t kUnitBytesMax = 60;
constexpr std::size_t kDemandBytesMax = 10;  // Of a number left of the plot.
constexpr char kHistoryStyle[] = " fill=\"none\" stroke=\"#444\"";
constexpr char kMedianStyle[] = " fill=\"none\" stroke=\"#06c\" stroke-width=\"2\"";
constexpr char kBandStyle[] = " fill=\"#06c\" fill-opacity=\"0.2\"";
constexpr char kBaseStyle[] = " fill=\"none\" stroke=\"#888\" stroke-dasharray=\"8 3\"";
constexpr char kReadyStyle[] = " fill=\"none\" stroke=\"#082\" stroke-width=\"2\"";
constexpr char kLevelStyle[] = " fill=\"none\" stroke=\"#a3a\" stroke-dasharray=\"3 2\"";

// Text or an attribute of a document. Printable text holds no control characters; what else XML 1.0
// forbids are the last two code points of the first plane.
std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(PrintableText(text), {{"&", "&amp;"},
                                                   {"<", "&lt;"},
                                                   {">", "&gt;"},
                                                   {"\"", "&quot;"},
                                                   {"'", "&#39;"},
                                                   {"\xEF\xBF\xBE", "\xEF\xBF\xBD"},
                                                   {"\xEF\xBF\xBF", "\xEF\xBF\xBD"}});
}

// A tenth of a pixel is exact enough: 123.4.
std::string Pixels(double pixels) {
  constexpr double kTenths = 10;
  return NumberText(std::round(pixels * kTenths) / kTenths);
}

std::string TextAt(double x, double y, std::string_view attributes, std::string_view text) {
  return absl::StrCat("<text x=\"", Pixels(x), "\" y=\"", Pixels(y), "\"",
                      absl::string_view(attributes.data(), attributes.size()), ">", Escaped(text),
                      "</text>\n");
}

// Broken at spaces into lines of at most kLineBytesMax, but for a word that is longer.
std::vector<std::string_view> TextLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (text.size() > kLineBytesMax) {
    std::size_t space = text.rfind(' ', kLineBytesMax);
    if (space == std::string_view::npos) space = text.find(' ');
    if (space == std::string_view::npos) break;
    lines.push_back(text.substr(0, space));
    text.remove_prefix(space + 1);
  }
  lines.push_back(text);
  return lines;
}

std::string PathOf(std::string_view style, std::string_view data) {
  if (data.empty()) return "";
  return absl::StrCat("<path", absl::string_view(style.data(), style.size()), " d=\"",
                      absl::string_view(data.data(), data.size()), "\"/>\n");
}

// Printable, and at most about `bytes_max` long: whole characters, "..." for the others.
std::string Cut(std::string_view text, std::size_t bytes_max) {
  std::string printable = PrintableText(text);
  if (printable.size() <= bytes_max) return printable;
  constexpr unsigned kKindBits = 0xC0U;
  constexpr unsigned kFollows = 0x80U;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(printable[end]) & kKindBits) == kFollows) --end;
  return printable.substr(0, end) + "...";
}

// From steps and demand to pixels.
struct Scale {
  double top = 1;    // Demand.
  double slots = 1;  // Of the whole width.

  std::string X(double slot) const { return Pixels(kLeft + (kRight - kLeft) * slot / slots); }
  std::string Y(double demand) const { return Pixels(kBottom - (kBottom - kTop) * demand / top); }
};

std::optional<double> HistoryOf(const Slot& slot) { return slot.history; }

std::optional<double> LevelOf(const Slot& slot) { return slot.at_level; }

std::optional<double> MedianOf(const Slot& slot) {
  return slot.band ? std::optional<double>(slot.band->median) : std::nullopt;
}

// A line that keeps each value for the whole of its step, broken where one is missing.
std::string StepLine(const Chart& chart, const Scale& scale,
                     std::optional<double> (*value_of)(const Slot& slot)) {
  std::string data;
  bool drawn = false;
  for (std::size_t i = 0; i < chart.slots.size(); ++i) {
    const std::optional<double> value = value_of(chart.slots[i]);
    if (value) {
      absl::StrAppend(&data, drawn ? "V" : absl::StrCat("M", scale.X(static_cast<double>(i)), " "),
                      scale.Y(*value), "H", scale.X(static_cast<double>(i + 1)));
    }
    drawn = value.has_value();
  }
  return data;
}

// The area between the lowest and the highest quantile: one closed path for each run of steps.
std::string BandArea(const Chart& chart, const Scale& scale) {
  std::string data;
  for (std::size_t i = 0; i < chart.slots.size(); ++i) {
    if (!chart.slots[i].band) continue;
    std::size_t end = i;
    absl::StrAppend(&data, "M", scale.X(static_cast<double>(i)), " ",
                    scale.Y(chart.slots[i].band->low));
    for (; end < chart.slots.size() && chart.slots[end].band; ++end) {
      absl::StrAppend(&data, "V", scale.Y(chart.slots[end].band->high), "H",
                      scale.X(static_cast<double>(end + 1)));
    }
    for (std::size_t back = end; back > i; --back) {
      absl::StrAppend(&data, "V", scale.Y(chart.slots[back - 1].band->low), "H",
                      scale.X(static_cast<double>(back - 1)));
    }
    data += "Z";
    i = end;  // Not in a band, or the end.
  }
  return data;
}

// A number that is too long for the margin is squeezed into it.
std::string_view NumberAttributes(const std::string& number) {
  return number.size() <= kDemandBytesMax
             ? " text-anchor=\"end\""
             : " text-anchor=\"end\" textLength=\"68\" lengthAdjust=\"spacingAndGlyphs\"";
}

std::string DemandAxis(const Scale& scale, std::string_view unit) {
  std::string axis =
      TextAt(kLeft, kTop - 12, "",
             unit.empty() ? "demand" : absl::StrCat("demand, ", Cut(unit, kUnitBytesMax)));
  for (int i = 0; i <= kDemandTicks; ++i) {
    const double demand = scale.top * i / kDemandTicks;
    const double y = kBottom - (kBottom - kTop) * i / kDemandTicks;
    absl::StrAppend(&axis,
                    PathOf(i == 0 ? " stroke=\"#444\"" : " stroke=\"#ddd\"",
                           absl::StrCat("M", kLeft, " ", Pixels(y), "H", kRight)),
                    TextAt(kLeft - 8, y + 4, NumberAttributes(AxisText(demand)), AxisText(demand)));
  }
  return axis;
}

// The shortest round time between marks that keeps them apart; any, if `span` is years.
absl::Duration TickOf(absl::Duration span) {
  constexpr std::array<absl::Duration, 23> kTicks = {
      absl::Seconds(1),    absl::Seconds(2),     absl::Seconds(5),    absl::Seconds(10),
      absl::Seconds(15),   absl::Seconds(30),    absl::Minutes(1),    absl::Minutes(2),
      absl::Minutes(5),    absl::Minutes(10),    absl::Minutes(15),   absl::Minutes(30),
      absl::Hours(1),      absl::Hours(2),       absl::Hours(3),      absl::Hours(6),
      absl::Hours(12),     absl::Hours(24),      absl::Hours(2 * 24), absl::Hours(4 * 24),
      absl::Hours(7 * 24), absl::Hours(14 * 24), absl::Hours(28 * 24)};
  for (const absl::Duration tick : kTicks) {
    if (absl::FDivDuration(span, tick) <= kTimeTicksMax) return tick;
  }
  return span / kTimeTicksMax;
}

std::string TimeAxis(const Chart& chart, const Scale& scale, const PictureClock& clock) {
  const absl::Time end = chart.TimeOf(chart.slots.size());
  const absl::Duration tick = TickOf(end - chart.first);
  const bool utc = clock.name == "UTC";
  const char* format = tick < absl::Minutes(1)  ? utc ? "%H:%M:%SZ" : "%H:%M:%S"
                       : tick < absl::Hours(24) ? utc ? "%m-%d %H:%MZ" : "%m-%d %H:%M"
                                                : "%Y-%m-%d";
  const auto text = [&clock, utc](absl::Time time) {
    return utc ? TimeText(time) : absl::FormatTime("%Y-%m-%dT%H:%M:%S%Ez", time, clock.zone);
  };
  std::string axis = TextAt(kLeft, kBottom + 44, "",
                            absl::StrCat("time, ", PrintableText(clock.name), ": ",
                                         text(chart.first), " to ", text(end)));
  // Round by the clock, as it is set where the picture begins.
  const absl::Time origin = absl::UnixEpoch() - absl::Seconds(clock.zone.At(chart.first).offset);
  absl::Time at = origin + absl::Ceil(chart.first - origin, tick);
  for (; at <= end; at += tick) {
    const std::string x = scale.X(absl::FDivDuration(at - chart.first, chart.step));
    absl::StrAppend(&axis, PathOf(" stroke=\"#444\"", absl::StrCat("M", x, " ", kBottom, "v5")),
                    "<text x=\"", x, "\" y=\"", kBottom + 20, "\" text-anchor=\"middle\">",
                    absl::FormatTime(format, at, clock.zone), "</text>\n");
  }
  return axis;
}

std::string Legend(const v1::Forecast& forecast) {
  constexpr double kY = kTop - 12;
  std::string legend;
  if (forecast.history_size() > 0) {
    legend += PathOf(kHistoryStyle, absl::StrCat("M610 ", kY - 4, "h20"));
    legend += TextAt(636, kY, "", "history");
  }
  if (forecast.quantiles_size() > 0) {
    legend += PathOf(kMedianStyle, absl::StrCat("M700 ", kY - 4, "h20"));
    legend += TextAt(726, kY, "", "median");
    legend += PathOf(kBandStyle, absl::StrCat("M790 ", kY - 9, "h20v10h-20Z"));
    legend += TextAt(816, kY, "", BandText(forecast));
  }
  return legend;
}

// The lines of the pool within the plot, and below the axis what they are; empty without any.
std::string LinesOfPool(const Chart& chart, const Scale& scale, const PoolLines& lines) {
  constexpr double kY = kBottom + 66;
  constexpr double kApart = 180;
  const std::string now = scale.X(static_cast<double>(chart.history_slots));
  const auto level_line = [&](const std::string& from, const std::optional<double>& value) {
    return value ? absl::StrCat("M", from, " ", scale.Y(*value), "H", kRight) : "";
  };
  const struct {
    const char* style;
    std::string data;
    std::string text;
  } drawn[] = {{kBaseStyle, level_line(Pixels(kLeft), lines.base), BaseText(lines)},
               {kReadyStyle, level_line(now, lines.ready), ReadyText(lines)},
               {kLevelStyle, StepLine(chart, scale, LevelOf), LevelText(lines)}};
  std::string svg;
  double x = kLeft;
  for (const auto& line : drawn) {
    if (line.data.empty()) continue;
    absl::StrAppend(&svg, PathOf(line.style, line.data),
                    PathOf(line.style, absl::StrCat("M", x, " ", kY - 4, "h20")),
                    TextAt(x + 26, kY, "", line.text));
    x += kApart;
  }
  return svg;
}

// A dashed line where history ends, and its word on the side that has room.
std::string Now(const Chart& chart, const Scale& scale) {
  constexpr double kRoom = 40;
  const double x =
      kLeft + (kRight - kLeft) * static_cast<double>(chart.history_slots) / scale.slots;
  const bool right = x + kRoom < kRight;
  return PathOf(" stroke=\"#444\" stroke-dasharray=\"4\"",
                absl::StrCat("M", Pixels(x), " ", kTop, "V", kBottom)) +
         TextAt(right ? x + 4 : x - 4, kTop + 12, right ? "" : " text-anchor=\"end\"", "now");
}

}  // namespace

std::string ForecastSvg(const v1::Forecast& forecast, const SvgOptions& options) {
  const Chart chart = ChartOf(forecast, options.lines.service_level);
  const std::string trust_text = TrustText(forecast);
  const std::vector<std::string_view> trust = TextLines(trust_text);
  const Scale scale = {.top = AxisTop(chart.slots, options.lines),
                       .slots = static_cast<double>(chart.slots.size())};
  const std::string lines = chart.slots.empty() ? "" : LinesOfPool(chart, scale, options.lines);
  const double trust_top = kTrustTop + (lines.empty() ? 0 : kLegendHeight);
  const std::string height =
      Pixels(trust_top + kLineHeight * static_cast<double>(trust.size() - 1) + kMarginBottom);
  std::string svg = absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"", height,
      "\" viewBox=\"0 0 960 ", height, "\" font-family=\"sans-serif\" font-size=\"12\">\n<title>",
      Escaped(TitleText(options.pool, options.unit)), "</title>\n<rect width=\"960\" height=\"",
      height, "\" fill=\"#fff\"/>\n",
      TextAt(kLeft, 28, " font-size=\"16\"", Cut(options.pool, kTitleBytesMax)));
  if (chart.slots.empty()) {
    svg += TextAt(kLeft, kTop, "", "no forecast");
  } else {
    svg += DemandAxis(scale, options.unit);
    svg += TimeAxis(chart, scale, options.clock);
    svg += PathOf(kBandStyle, BandArea(chart, scale));
    svg += lines;
    svg += PathOf(kHistoryStyle, StepLine(chart, scale, HistoryOf));
    svg += PathOf(kMedianStyle, StepLine(chart, scale, MedianOf));
    svg += Now(chart, scale);
    svg += Legend(forecast);
  }
  for (std::size_t i = 0; i < trust.size(); ++i) {
    svg += TextAt(kLeft, trust_top + kLineHeight * static_cast<double>(i), "", trust[i]);
  }
  return svg + "</svg>\n";
}

}  // namespace shadow
