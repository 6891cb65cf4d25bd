#include "client/output/plot.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <utility>
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
  Mark base;
  Mark ready;
  Mark level;
};

constexpr char kNow[] = "^";

constexpr Marks kBlocks = {.frame = kBlockFrame,
                           .median = {"▓", "\x1b[33m"},
                           .band = {"░", "\x1b[36m"},
                           .base = {"╌", ""},
                           .ready = {"═", "\x1b[32m"},
                           .level = {"≈", "\x1b[35m"}};
constexpr Marks kAscii = {.frame = kAsciiFrame,
                          .median = {"o", "\x1b[33m"},
                          .band = {".", "\x1b[36m"},
                          .base = {"-", ""},
                          .ready = {"=", "\x1b[32m"},
                          .level = {"~", "\x1b[35m"}};

// Several steps in one column: means of what is known, the outermost of the bands.
Slot Merge(std::span<const Slot> slots) {
  Slot merged;
  double history_sum = 0;
  double median_sum = 0;
  double level_sum = 0;
  int levels = 0;
  int histories = 0;
  int bands = 0;
  for (const Slot& slot : slots) {
    if (slot.history) {
      history_sum += *slot.history;
      ++histories;
    }
    if (slot.at_level) {
      level_sum += *slot.at_level;
      ++levels;
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
  if (levels > 0) merged.at_level = level_sum / levels;
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

// How demand becomes rows: `unit` is that of one row, and row 0 is the lowest of `rows`.
struct Rows {
  int rows = 0;
  double unit = 1;
  PoolLines lines;

  int Of(double value) const {
    return static_cast<int>(std::clamp(std::floor(value / unit), 0.0, rows - 1.0));
  }
  bool Has(const std::optional<double>& value, int row) const { return value && Of(*value) == row; }
};

Mark MarkAhead(const Slot& slot, int row, const Rows& rows, const Marks& marks) {
  if (slot.band && row == rows.Of(slot.band->median)) return marks.median;
  if (rows.Has(slot.at_level, row)) return marks.level;
  if (rows.Has(rows.lines.ready, row)) return marks.ready;
  if (rows.Has(rows.lines.base, row)) return marks.base;
  const bool inside =
      slot.band && row >= rows.Of(slot.band->low) && row <= rows.Of(slot.band->high);
  return inside ? marks.band : Mark{" ", ""};
}

Mark MarkOfPast(const Slot& slot, int row, const Rows& rows, const Marks& marks) {
  const double eighths =
      slot.history ? std::clamp(std::round(*slot.history / rows.unit * 8), 1.0, rows.rows * 8.0)
                   : 0;
  const int filled = std::clamp(static_cast<int>(eighths) - 8 * row, 0, 8);
  if (filled == 0 && rows.Has(rows.lines.base, row)) return marks.base;
  return {marks.frame.bar[static_cast<std::size_t>(filled)], ""};
}

// Start, first forecast step and end below the axis, as far as they fit.
std::string TimeAxis(const Chart& chart, std::size_t history_columns, std::size_t columns,
                     const PictureClock& clock) {
  const char* format = chart.step < absl::Minutes(1) ? "%H:%M:%S" : "%m-%d %H:%M";
  const auto label = [&](std::size_t slot) {
    return absl::FormatTime(format, chart.TimeOf(slot), clock.zone);
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

std::string Legend(const v1::Forecast& forecast, const Marks& marks, const PlotOptions& options) {
  const auto painted = [&](const Mark& mark) {
    return Painted(std::span(&mark, 1), options.colour);
  };
  std::string legend;
  if (forecast.history_size() > 0)
    absl::StrAppend(&legend, marks.frame.bar[8].data(), " history  ");
  if (forecast.quantiles_size() > 0) {
    absl::StrAppend(&legend, painted(marks.median), " median  ", painted(marks.band), " ",
                    BandText(forecast), "  ");
  }
  absl::StrAppend(&legend, kNow, " now  times in ", PrintableText(options.clock.name), "\n");
  const std::pair<Mark, std::string> lines[] = {{marks.base, BaseText(options.lines)},
                                                {marks.ready, ReadyText(options.lines)},
                                                {marks.level, LevelText(options.lines)}};
  std::string line;
  for (const auto& [mark, text] : lines) {
    if (!text.empty()) absl::StrAppend(&line, line.empty() ? "" : "  ", painted(mark), " ", text);
  }
  return line.empty() ? legend : legend + line + "\n";
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
  const Chart chart = ChartOf(forecast, options.lines.service_level);
  std::string picture = PrintableText(options.title) + "\n";
  if (chart.slots.empty()) return picture + "no forecast\n" + TrustText(forecast) + "\n";

  const double top = AxisTop(chart.slots, options.lines);
  const int count = std::max(options.rows, kRowsMin);
  const Rows rows = {.rows = count, .unit = top / count, .lines = options.lines};
  const std::string top_label = AxisText(top);
  const std::string half_label = AxisText(top / 2);
  const std::size_t margin = std::max(top_label.size(), half_label.size());
  const Columns columns = ColumnsOf(
      chart, static_cast<std::size_t>(std::max(options.columns, kColumnsMin)) - margin - 2);

  for (int row = count - 1; row >= 0; --row) {
    std::string label = row == count - 1 ? top_label : row == count / 2 - 1 ? half_label : "";
    label.insert(0, margin - label.size(), ' ');
    std::vector<Mark> cells;
    for (std::size_t i = 0; i < columns.slots.size(); ++i) {
      const Slot& slot = columns.slots[i];
      cells.push_back(i < columns.history ? MarkOfPast(slot, row, rows, marks)
                                          : MarkAhead(slot, row, rows, marks));
    }
    std::string line = label + " " + std::string(marks.frame.side) + Painted(cells, options.colour);
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  picture += std::string(margin - 1, ' ') + "0 " + std::string(marks.frame.corner);
  for (std::size_t i = 0; i < columns.slots.size(); ++i) {
    picture += i == columns.history ? kNow : marks.frame.floor;
  }
  picture += "\n" + std::string(margin + 2, ' ') +
             TimeAxis(chart, columns.history, columns.slots.size(), options.clock) + "\n";
  return picture + Legend(forecast, marks, options) + TrustText(forecast) + "\n";
}

}  // namespace shadow
