#include "client/output/replay_plot.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/output/forecast_chart.h"
#include "client/output/marks.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using Point = v1::Outcome::Point;

constexpr int kColumnsMin = 40;
constexpr int kMarginMax = 14;  // Of a number of the axis and its line.

struct Marks {
  Frame frame;
  Mark missed;
  Mark active;
  Mark ready;
};

constexpr Marks kBlocks = {.frame = kBlockFrame,
                           .missed = {"!", "\x1b[31m"},
                           .active = {"▒", "\x1b[33m"},
                           .ready = {"░", "\x1b[36m"}};
constexpr Marks kAscii = {.frame = kAsciiFrame,
                          .missed = {"!", "\x1b[31m"},
                          .active = {"o", "\x1b[33m"},
                          .ready = {".", "\x1b[36m"}};

double Spare(const Point& point) { return point.ready() - point.demand(); }

std::vector<Point> ColumnsOf(const v1::Outcome& outcome, std::size_t width) {
  const auto all = static_cast<std::size_t>(outcome.points_size());
  const std::size_t count = std::min(all, width);
  std::vector<Point> columns;
  for (std::size_t column = 0; column < count; ++column) {
    const auto begin = outcome.points().begin() + static_cast<int>(column * all / count);
    const auto end = outcome.points().begin() + static_cast<int>((column + 1) * all / count);
    columns.push_back(*std::min_element(
        begin, end, [](const Point& a, const Point& b) { return Spare(a) < Spare(b); }));
  }
  return columns;
}

double TopOf(const std::vector<Point>& columns) {
  std::vector<Slot> slots;
  slots.reserve(columns.size());
  for (const Point& point : columns) {
    slots.push_back({.history = std::max({point.demand(), point.ready(), point.active()}),
                     .band = std::nullopt});
  }
  return AxisTop(slots);
}

// `unit`: demand of one row. `row`: 0 is the lowest.
Mark MarkOf(const Point& point, int row, double unit, const Marks& marks) {
  const double middle = (row + 0.5) * unit;
  if (middle <= point.demand() && middle > point.ready()) return marks.missed;
  const double eighths = std::clamp(std::round((point.demand() / unit - row) * 8), 0.0, 8.0);
  if (eighths > 0) return {marks.frame.bar[static_cast<std::size_t>(eighths)], ""};
  if (middle <= point.active()) return marks.active;
  return middle <= point.ready() ? marks.ready : Mark{" ", ""};
}

std::string Painted(const Mark& mark, bool colour) { return Painted(std::span(&mark, 1), colour); }

std::string TimeAxis(const std::vector<Point>& columns, const PictureClock& clock) {
  const auto label = [&clock](const Point& point) {
    return absl::FormatTime("%m-%d %H:%M", FromProto(point.time()), clock.zone);
  };
  std::string axis = label(columns.front());
  const std::string end = label(columns.back());
  if (columns.size() > axis.size() + end.size()) {
    axis.resize(columns.size() - end.size(), ' ');
    axis += end;
  }
  return axis;
}

}  // namespace

int ReplayPlotPoints(int columns) { return std::max(columns, kColumnsMin) - kMarginMax; }

std::string PlotReplay(const v1::Outcome& outcome, const PlotOptions& options) {
  if (outcome.points().empty()) return "";
  const Marks& marks = options.blocks ? kBlocks : kAscii;
  const std::vector<Point> columns =
      ColumnsOf(outcome, static_cast<std::size_t>(ReplayPlotPoints(options.columns)));
  const int rows = std::max(options.rows, 2);
  const double top = TopOf(columns);
  const std::string labels[] = {AxisText(top), AxisText(top / 2)};
  const std::size_t margin = std::max(labels[0].size(), labels[1].size());
  std::string picture = PrintableText(options.title) + "\n";
  for (int row = rows - 1; row >= 0; --row) {
    std::string line = row == rows - 1 ? labels[0] : row == rows / 2 - 1 ? labels[1] : "";
    line.insert(0, margin - line.size(), ' ');
    line += " " + std::string(marks.frame.side);
    for (const Point& point : columns) {
      line += Painted(MarkOf(point, row, top / rows, marks), options.colour);
    }
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  picture += std::string(margin - 1, ' ') + "0 " + std::string(marks.frame.corner);
  for (const Point& point : columns) {
    const Mark floor = {marks.frame.floor, ""};
    picture += Painted(Spare(point) < 0 ? marks.missed : floor, options.colour);
  }
  absl::StrAppend(&picture, "\n", std::string(margin + 2, ' '), TimeAxis(columns, options.clock),
                  "\n", std::string(marks.frame.bar[8]), " demand  ",
                  Painted(marks.active, options.colour), " serves beyond it  ",
                  Painted(marks.ready, options.colour), " ready beyond it  ",
                  Painted(marks.missed, options.colour), " missing  times in ",
                  PrintableText(options.clock.name), "\n");
  return picture;
}

}  // namespace shadow
