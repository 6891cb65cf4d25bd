#include "client/output/plot.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/output/forecast_chart.h"
#include "client/output/marks.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr int kColumnsMin = 40;
constexpr int kRowsMin = 2;

struct Marks {
  Frame frame;
  Mark median;
  Mark band;
};

constexpr Marks kBlocks = {
    .frame = kBlockFrame, .median = {"▓", "\x1b[33m"}, .band = {"░", "\x1b[36m"}};
constexpr Marks kAscii = {
    .frame = kAsciiFrame, .median = {"o", "\x1b[33m"}, .band = {".", "\x1b[36m"}};

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

// `unit`: demand of one row. `row`: 0 is the lowest of `rows`.
Mark MarkOf(const Slot& slot, int row, int rows, double unit, const Marks& marks) {
  if (slot.band) {
    const auto row_of = [&](double value) {
      return static_cast<int>(std::clamp(std::floor(value / unit), 0.0, rows - 1.0));
    };
    if (row == row_of(slot.band->median)) return marks.median;
    const bool inside = row >= row_of(slot.band->low) && row <= row_of(slot.band->high);
    return inside ? marks.band : Mark{" ", ""};
  }
  if (!slot.history) return {" ", ""};
  const int eighths =
      static_cast<int>(std::clamp(std::round(*slot.history / unit * 8), 1.0, rows * 8.0));
  return {marks.frame.bar[static_cast<std::size_t>(std::clamp(eighths - 8 * row, 0, 8))], ""};
}

// Start, first forecast step and end below the axis, as far as they fit.
std::string TimeAxis(const Chart& chart, std::size_t history_columns, std::size_t columns) {
  const char* format = chart.step < absl::Minutes(1) ? "%H:%M:%S" : "%m-%d %H:%M";
  const auto label = [&](std::size_t slot) {
    return absl::FormatTime(format, chart.TimeOf(slot), absl::UTCTimeZone());
  };
  std::string axis = label(0);
  if (history_columns > axis.size()) {
    axis.resize(history_columns, ' ');
    axis += label(chart.history_slots);
  }
  const std::string end = label(chart.slots.size());
  if (columns > axis.size() + end.size()) {
    axis.resize(columns - end.size(), ' ');
    axis += end;
  }
  return axis;
}

std::string Legend(const v1::Forecast& forecast, const Marks& marks, bool colour) {
  const auto painted = [&](const Mark& mark) { return Painted(std::span(&mark, 1), colour); };
  std::string legend;
  if (forecast.history_size() > 0)
    absl::StrAppend(&legend, marks.frame.bar[8].data(), " history  ");
  if (forecast.quantiles_size() > 0) {
    absl::StrAppend(&legend, painted(marks.median), " median  ", painted(marks.band), " ",
                    BandText(forecast), "  ");
  }
  return legend + "times in UTC";
}

// The columns of the picture, at most `width`, and how many of them are history. History and
// forecast share the width as they share the time, and never a column.
struct Columns {
  std::vector<Slot> slots;
  std::size_t history = 0;
};

Columns ColumnsOf(const Chart& chart, std::size_t width) {
  const std::span<const Slot> all(chart.slots);
  const std::size_t history_width =
      all.size() <= width ? chart.history_slots : width * chart.history_slots / all.size();
  Columns columns;
  columns.slots = Squeeze(all.first(chart.history_slots), history_width);
  columns.history = columns.slots.size();
  const std::vector<Slot> ahead =
      Squeeze(all.subspan(chart.history_slots), width - columns.history);
  columns.slots.insert(columns.slots.end(), ahead.begin(), ahead.end());
  return columns;
}

}  // namespace

std::string PlotForecast(const v1::Forecast& forecast, const PlotOptions& options) {
  const Marks& marks = options.blocks ? kBlocks : kAscii;
  const int rows = std::max(options.rows, kRowsMin);
  const Chart chart = ChartOf(forecast);
  std::string picture = PrintableText(options.title) + "\n";
  if (chart.slots.empty()) return picture + "no forecast\n" + TrustText(forecast) + "\n";

  const double top = AxisTop(chart.slots);
  const std::string top_label = AxisText(top);
  const std::string half_label = AxisText(top / 2);
  const std::size_t margin = std::max(top_label.size(), half_label.size());
  const Columns columns = ColumnsOf(
      chart, static_cast<std::size_t>(std::max(options.columns, kColumnsMin)) - margin - 2);

  for (int row = rows - 1; row >= 0; --row) {
    std::string label = row == rows - 1 ? top_label : row == rows / 2 - 1 ? half_label : "";
    label.insert(0, margin - label.size(), ' ');
    std::vector<Mark> cells;
    for (const Slot& slot : columns.slots) {
      cells.push_back(MarkOf(slot, row, rows, top / rows, marks));
    }
    std::string line = label + " " + std::string(marks.frame.side) + Painted(cells, options.colour);
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  picture += std::string(margin - 1, ' ') + "0 " + std::string(marks.frame.corner);
  for (std::size_t i = 0; i < columns.slots.size(); ++i) picture += marks.frame.floor;
  picture += "\n" + std::string(margin + 2, ' ') +
             TimeAxis(chart, columns.history, columns.slots.size()) + "\n";
  return picture + Legend(forecast, marks, options.colour) + "\n" + TrustText(forecast) + "\n";
}

}  // namespace shadow
