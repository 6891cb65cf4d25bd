#include "tests/demo/director/view.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow::demo {
namespace {

constexpr int kRows = 10;
constexpr double kRoomAbovePeak = 1.3;
constexpr size_t kDecisionMaxBytes = 110;
constexpr absl::Duration kLineInterval = absl::Seconds(2);

constexpr char kReset[] = "\x1b[0m";
constexpr char kRed[] = "\x1b[31m";
constexpr char kGreen[] = "\x1b[32m";
constexpr char kBlue[] = "\x1b[34m";
constexpr char kDim[] = "\x1b[2m";
constexpr std::array<const char*, 9> kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

std::string Paint(const char* text, const char* code, bool color) {
  return color ? absl::StrCat(code, text, kReset) : std::string(text);
}

// One cell; it covers the heights [row, row + 1) of the chart.
std::string PastCell(double demand, double capacity, int row, bool color) {
  const bool short_of = capacity < demand;
  if (static_cast<int>(std::floor(capacity)) == row && capacity > 0) {
    return Paint("━", short_of ? kRed : kGreen, color);
  }
  const double filled = std::clamp(demand - row, 0.0, 1.0);
  const auto eighths = static_cast<size_t>(std::lround(filled * 8));
  return Paint(kBlocks[eighths], short_of ? kRed : kBlue, color);
}

std::string FutureCell(const ForecastPoint& point, double row_value, int row, bool color) {
  const double median = point.median / row_value;
  if (static_cast<int>(std::floor(median)) == row) return Paint("╌", kDim, color);
  const bool in_band = point.high / row_value > row && point.low / row_value < row + 1;
  return Paint(in_band ? "░" : " ", kDim, color);
}

std::string ChartRow(const Frame& frame, int row, bool color) {
  const double row_value = frame.peak * kRoomAbovePeak / kRows;
  std::string line = absl::StrFormat("%6.0f ", row_value * (row + 1));
  for (int step = 0; step < frame.steps; ++step) {
    const auto index = static_cast<size_t>(step);
    const auto ahead = frame.pool.forecast.find(step);
    if (step <= frame.step && index < frame.demand.size() && index < frame.serving.size()) {
      absl::StrAppend(
          &line,
          PastCell(frame.demand[index] / row_value,
                   frame.serving[index] * frame.capacity_per_instance / row_value, row, color));
    } else if (ahead != frame.pool.forecast.end()) {
      absl::StrAppend(&line, FutureCell(ahead->second, row_value, row, color));
    } else {
      absl::StrAppend(&line, " ");
    }
  }
  return absl::StrCat(line, "\n");
}

// Cut at a character's start, not within one.
std::string Shorten(std::string text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

std::string Blocks(int count, const char* block) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, block);
  return text;
}

double DemandNow(const Frame& frame) {
  // The step that runs is not complete; the one before it is.
  if (frame.demand.size() < 2) return frame.demand.empty() ? 0 : frame.demand.back();
  return frame.demand[frame.demand.size() - 2];
}

}  // namespace

std::string DrawFrame(const Frame& frame, bool color) {
  const InstanceCounts& counts = frame.pool.counts;
  std::string text =
      absl::StrFormat("%s, step %d of %d\n", frame.title,
                      std::max(0, std::min(frame.step + 1, frame.steps)), frame.steps);
  for (int row = kRows - 1; row >= 0; --row) absl::StrAppend(&text, ChartRow(frame, row, color));
  absl::StrAppendFormat(
      &text, "requests/s   demand %s   serving capacity %s   forecast %s 5-95 %% %s median\n",
      Paint("█", kBlue, color), Paint("━", kGreen, color), Paint("░", kDim, color),
      Paint("╌", kDim, color));
  absl::StrAppendFormat(&text, "demand %4.0f/s   capacity %4.0f/s   answered %d   failed %d\n",
                        DemandNow(frame), counts.serving() * frame.capacity_per_instance, frame.ok,
                        frame.failed);
  absl::StrAppendFormat(&text,
                        "base %d   shadow %d at level %d %%: %d active, %d suspended, %d starting, "
                        "%d waking, %d draining\n",
                        counts.base_serving, frame.pool.target_instances,
                        frame.pool.activation_level, counts.shadow_serving, counts.suspended,
                        counts.starting, counts.waking, counts.draining);
  absl::StrAppend(&text, "instances ",
                  Paint(Blocks(counts.base_serving, "■").c_str(), kGreen, color),
                  Paint(Blocks(counts.shadow_serving, "■").c_str(), kBlue, color),
                  Blocks(counts.waking + counts.draining, "▣"),
                  Paint(Blocks(counts.suspended, "□").c_str(), kDim, color),
                  Paint(Blocks(counts.starting, "·").c_str(), kDim, color), "\n");
  absl::StrAppend(&text, "decision: ", Shorten(frame.pool.last_decision, kDecisionMaxBytes), "\n");
  return text;
}

std::string DescribeFrame(const Frame& frame) {
  const InstanceCounts& counts = frame.pool.counts;
  std::string text = absl::StrFormat("step %2d  demand %3.0f/s", frame.step, DemandNow(frame));
  const auto ahead = frame.pool.forecast.find(frame.step + 3);
  if (ahead != frame.pool.forecast.end()) {
    absl::StrAppendFormat(&text, "  forecast in 3 steps %.0f to %.0f", ahead->second.low,
                          ahead->second.high);
  }
  absl::StrAppendFormat(
      &text,
      "  base %d  shadow %d: level %d%%, %d active, %d suspended, %d starting, %d "
      "waking, %d draining  ok %d  failed %d",
      counts.base_serving, frame.pool.target_instances, frame.pool.activation_level,
      counts.shadow_serving, counts.suspended, counts.starting, counts.waking, counts.draining,
      frame.ok, frame.failed);
  return text;
}

View::View(std::ostream& out, bool terminal, bool color)
    : out_(out), terminal_(terminal), color_(color) {}

View::~View() { End(); }

void View::Show(const Frame& frame, absl::Duration now) {
  if (!terminal_) {
    if (now < next_line_) return;
    next_line_ = now + kLineInterval;
    out_ << DescribeFrame(frame) << std::endl;
    return;
  }
  const std::string text = DrawFrame(frame, color_);
  std::string painted =
      painted_lines_ > 0 ? absl::StrCat("\x1b[", painted_lines_, "A") : "\x1b[?25l";
  // Each line is cleared behind its end, and never wraps into the next.
  painted += "\x1b[?7l";
  for (const char c : text) painted += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  painted += "\x1b[?7h";
  painted_lines_ = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  out_ << painted << std::flush;
}

void View::End() {
  if (painted_lines_ == 0) return;
  painted_lines_ = 0;
  out_ << "\x1b[?25h" << std::flush;
}

void View::Say(const std::string& line) {
  End();
  out_ << line << std::endl;
}

}  // namespace shadow::demo
