#include "client/output/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr int kColumnsMin = 40;
constexpr int kRowsMin = 2;
constexpr std::size_t kStepsMax = 100'000;  // A picture of more than a daemon ever returns.

struct Glyphs {
  std::array<const char*, 9> bar;  // Filled by 0 to 8 eighths.
  const char* median;
  const char* band;
  const char* side;
  const char* corner;
  const char* floor;
};

constexpr Glyphs kBlocks = {{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "▓", "░", "│", "└", "─"};
constexpr Glyphs kAscii = {{" ", "_", "_", "_", "#", "#", "#", "#", "#"}, "o", ".", "|", "+", "-"};

struct Band {
  double low = 0;
  double median = 0;
  double high = 0;
};

// What one column of the picture shows: history or forecast, or neither where history is missing.
struct Slot {
  std::optional<double> history;
  std::optional<Band> band;
};

// Steps of the picture, one slot each, and where they lie in time.
struct Series {
  std::vector<Slot> slots;
  std::size_t history_slots = 0;
  absl::Time first;
  absl::Duration step;
};

Series Collect(const v1::Forecast& forecast) {
  Series series;
  series.step = FromProto(forecast.step());
  const auto points =
      std::min(static_cast<std::size_t>(std::max(forecast.points_size(), 0)), kStepsMax);
  if (points == 0 || series.step <= absl::ZeroDuration()) return series;
  const absl::Time now = FromProto(forecast.points(0).time());

  if (forecast.history_size() > 0) {
    const absl::Duration known = now - FromProto(forecast.history(0).time());
    const double steps = std::ceil(absl::FDivDuration(known, series.step));
    series.history_slots =
        static_cast<std::size_t>(std::clamp(steps, 0.0, static_cast<double>(points)));
  }
  series.first = now - static_cast<double>(series.history_slots) * series.step;
  series.slots.resize(series.history_slots + points);
  for (const v1::Sample& sample : forecast.history()) {
    const double at = absl::FDivDuration(FromProto(sample.time()) - series.first, series.step);
    if (at < 0 || at >= static_cast<double>(series.history_slots)) continue;
    series.slots[static_cast<std::size_t>(at)].history = sample.value();
  }

  int median = 0;
  for (int i = 1; i < forecast.quantiles_size(); ++i) {
    if (std::fabs(forecast.quantiles(i) - 0.5) < std::fabs(forecast.quantiles(median) - 0.5)) {
      median = i;
    }
  }
  for (std::size_t i = 0; i < points; ++i) {
    const auto& values = forecast.points(static_cast<int>(i)).values();
    if (values.size() <= median) continue;
    series.slots[series.history_slots + i].band =
        Band{.low = values[0], .median = values[median], .high = values[values.size() - 1]};
  }
  return series;
}

// Several steps in one column: means of what is known, the outermost of the bands.
Slot Merge(std::span<const Slot> slots) {
  Slot merged;
  double history_sum = 0;
  double median_sum = 0;
  int histories = 0;
  int bands = 0;
  for (const Slot& slot : slots) {
    if (slot.history) {
      history_sum += *slot.history;
      ++histories;
    }
    if (!slot.band) continue;
    median_sum += slot.band->median;
    ++bands;
    if (!merged.band) merged.band = slot.band;
    merged.band->low = std::min(merged.band->low, slot.band->low);
    merged.band->high = std::max(merged.band->high, slot.band->high);
  }
  if (histories > 0) merged.history = history_sum / histories;
  if (bands > 0) merged.band->median = median_sum / bands;
  return merged;
}

// `slots` squeezed into `columns` columns, or as they are if they fit.
std::vector<Slot> Squeeze(std::span<const Slot> slots, std::size_t columns) {
  columns = std::min(columns, slots.size());
  std::vector<Slot> squeezed;
  for (std::size_t column = 0; column < columns; ++column) {
    const std::size_t begin = column * slots.size() / columns;
    const std::size_t end = (column + 1) * slots.size() / columns;
    squeezed.push_back(Merge(slots.subspan(begin, end - begin)));
  }
  return squeezed;
}

// The first round number that is not below `highest`: 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power
// of ten. 73 -> 80.
double RoundMaximum(double highest) {
  if (!(highest > 0) || !std::isfinite(highest)) return 1;
  const double power = std::pow(10, std::floor(std::log10(highest)));
  for (const double factor : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0}) {
    if (factor * power >= highest) return factor * power;
  }
  return 10 * power;
}

double Highest(std::span<const Slot> slots) {
  double highest = 0;
  for (const Slot& slot : slots) {
    if (slot.history) highest = std::max(highest, *slot.history);
    if (slot.band) highest = std::max(highest, slot.band->high);
  }
  return highest;
}

// `unit`: demand of one row. `row`: 0 is the lowest of `rows`.
const char* Glyph(const Slot& slot, int row, int rows, double unit, const Glyphs& glyphs) {
  if (slot.band) {
    const auto row_of = [&](double value) {
      return static_cast<int>(std::clamp(std::floor(value / unit), 0.0, rows - 1.0));
    };
    if (row == row_of(slot.band->median)) return glyphs.median;
    const bool inside = row >= row_of(slot.band->low) && row <= row_of(slot.band->high);
    return inside ? glyphs.band : " ";
  }
  if (!slot.history) return " ";
  const int eighths =
      static_cast<int>(std::clamp(std::round(*slot.history / unit * 8), 1.0, rows * 8.0));
  return glyphs.bar[static_cast<std::size_t>(std::clamp(eighths - 8 * row, 0, 8))];
}

// Start, first forecast step and end below the axis, as far as they fit.
std::string TimeAxis(const Series& series, std::size_t history_columns, std::size_t columns) {
  const char* format = series.step < absl::Minutes(1) ? "%H:%M:%S" : "%m-%d %H:%M";
  const auto label = [&](std::size_t step) {
    return absl::FormatTime(format, series.first + static_cast<double>(step) * series.step,
                            absl::UTCTimeZone());
  };
  std::string axis = label(0);
  const std::string now = label(series.history_slots);
  if (history_columns > axis.size()) {
    axis.resize(history_columns, ' ');
    axis += now;
  }
  const std::string end = label(series.slots.size());
  if (columns > axis.size() + end.size()) {
    axis.resize(columns - end.size(), ' ');
    axis += end;
  }
  return axis;
}

std::string Legend(const v1::Forecast& forecast, const Glyphs& glyphs) {
  std::string legend;
  if (forecast.history_size() > 0) legend = absl::StrCat(glyphs.bar[8], " history  ");
  if (forecast.quantiles_size() > 0) {
    const double low = 100 * forecast.quantiles(0);
    const double high = 100 * forecast.quantiles(forecast.quantiles_size() - 1);
    absl::StrAppend(&legend, glyphs.median, " median  ", glyphs.band, " ", NumberText(low), "% to ",
                    NumberText(high), "%  ");
  }
  return legend + "times in UTC";
}

std::string TrustLine(const v1::Forecast& forecast) {
  std::string line = "trust: ";
  line += v1::Trust_IsValid(forecast.trust()) ? v1::Trust_Name(forecast.trust()) : "unknown";
  if (!forecast.trust_reason().empty()) line += ": " + PrintableText(forecast.trust_reason());
  return line;
}

}  // namespace

std::string PlotForecast(const v1::Forecast& forecast, const PlotOptions& options) {
  const Glyphs& glyphs = options.blocks ? kBlocks : kAscii;
  const int rows = std::max(options.rows, kRowsMin);
  const Series series = Collect(forecast);
  std::string picture = PrintableText(options.title) + "\n";
  if (series.slots.empty()) {
    return picture + "no forecast\n" + TrustLine(forecast) + "\n";
  }

  const double top = RoundMaximum(Highest(series.slots));
  const std::string top_label = NumberText(top);
  const std::string half_label = NumberText(top / 2);
  const std::size_t margin = std::max(top_label.size(), half_label.size());
  const std::size_t width =
      static_cast<std::size_t>(std::max(options.columns, kColumnsMin)) - margin - 2;
  const std::span<const Slot> all(series.slots);
  // History and forecast share the width as they share the time, and never a column.
  const std::size_t history_width = series.slots.size() <= width
                                        ? series.history_slots
                                        : width * series.history_slots / series.slots.size();
  std::vector<Slot> columns = Squeeze(all.first(series.history_slots), history_width);
  const std::size_t history_columns = columns.size();
  const std::vector<Slot> ahead =
      Squeeze(all.subspan(series.history_slots), width - history_columns);
  columns.insert(columns.end(), ahead.begin(), ahead.end());

  for (int row = rows - 1; row >= 0; --row) {
    std::string label = row == rows - 1 ? top_label : row == rows / 2 - 1 ? half_label : "";
    label.insert(0, margin - label.size(), ' ');
    std::string line = label + " " + glyphs.side;
    for (const Slot& slot : columns) line += Glyph(slot, row, rows, top / rows, glyphs);
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  picture += std::string(margin - 1, ' ') + "0 " + glyphs.corner;
  for (std::size_t i = 0; i < columns.size(); ++i) picture += glyphs.floor;
  picture += "\n" + std::string(margin + 2, ' ') +
             TimeAxis(series, history_columns, columns.size()) + "\n";
  return picture + Legend(forecast, glyphs) + "\n" + TrustLine(forecast) + "\n";
}

}  // namespace shadow
