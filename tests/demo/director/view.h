// The live picture of a replay in the terminal.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/demo/director/observer.h"

namespace shadow::demo {

struct Frame {
  std::string title;
  int step = 0;     // The step that runs now; negative: the replay has not begun.
  int steps = 0;    // Of the whole replay.
  double peak = 0;  // Requests/s: the chart's height.
  double capacity_per_instance = 0;
  std::vector<double> demand;   // Requests/s of each step that has begun.
  std::vector<double> serving;  // Instances at full weight, mean of each step that has begun.
  PoolState pool;
  int64_t ok = 0;
  int64_t failed = 0;
};

// A chart with a column for each step, and the numbers below it; no escape codes unless `color`.
// Past: demand as blocks, the serving capacity as a line, red where demand is above it. Ahead: the
// forecast's band and median. Every line ends with "\n"; the number of lines is always the same.
std::string DrawFrame(const Frame& frame, bool color);

// The same as one line of plain ASCII, without its end.
std::string DescribeFrame(const Frame& frame);

// Repaints on a terminal; elsewhere writes a line every 2 s. Main thread.
class View {
 public:
  // `out` must outlive it. `terminal`: it understands escape codes.
  View(std::ostream& out, bool terminal, bool color);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  void Show(const Frame& frame, absl::Duration now);

  // Leaves the picture where it is: what is written next stands below it.
  void End();

  // A line of its own, e.g. what is being waited for.
  void Say(const std::string& line);

 private:
  std::ostream& out_;
  const bool terminal_;
  const bool color_;
  int painted_lines_ = 0;
  absl::Duration next_line_ = -absl::InfiniteDuration();
};

}  // namespace shadow::demo
