#include "tests/demo/director/replay.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/demo/curve.h"

namespace shadow::demo {
namespace {

constexpr absl::Duration kFrameInterval = absl::Milliseconds(250);
// The trace begins at midnight UTC, and its quiet hours are from 19:30 to 22:30: from those of the
// last night but one to those of the last.
constexpr int kReplayFirstRow = 14 * kStepsPerDay + 41;
constexpr int kReplaySteps = 52;

Frame MakeFrame(const ReplayPlan& plan, const std::string& title, const LoadReport& load,
                const Observer& observer, absl::Duration since_start) {
  Frame frame;
  frame.title = title;
  frame.steps = static_cast<int>(plan.rates.size());
  frame.step = since_start < absl::ZeroDuration() ? -1 : static_cast<int>(since_start / plan.step);
  frame.peak = plan.peak;
  frame.capacity_per_instance = kInstanceCapacity;
  const std::vector<StepState> steps = observer.Steps();
  const size_t begun = std::min(load.steps.size(), static_cast<size_t>(frame.step + 1));
  for (size_t i = 0; i < begun; ++i) {
    frame.demand.push_back(static_cast<double>(load.steps[i].arrivals) /
                           absl::ToDoubleSeconds(plan.step));
    frame.serving.push_back(steps[i].serving);
  }
  frame.pool = observer.State();
  frame.ok = load.ok;
  frame.failed = load.failed;
  return frame;
}

// `next`: the next full second that leaves time to import the history; the last step of the
// history, which is the one before, may not lie more than a step ahead of the daemon's clock.
Instant StartOfReplay(const Clock& clock) {
  const Instant now = clock.Now();
  const absl::Time start = absl::FromUnixSeconds(absl::ToUnixSeconds(now.wall) + 2);
  return {.wall = start, .mono = now.mono + (start - now.wall)};
}

}  // namespace

absl::StatusOr<ReplayPlan> PlanReplay(const std::string& trace, double peak, int steps_max) {
  absl::StatusOr<std::vector<double>> curve = ReadCurve(trace);
  if (!curve.ok()) return curve.status();
  curve = ScaleToPeak(*std::move(curve), peak);
  if (!curve.ok()) return curve.status();
  const int steps = std::min(kReplaySteps, steps_max);
  if (steps < 1 || curve->size() < static_cast<size_t>(kReplayFirstRow + steps)) {
    return absl::InvalidArgumentError(absl::StrCat(trace, ": ", curve->size(), " rows, wanted ",
                                                   kReplayFirstRow + std::max(1, steps)));
  }
  const auto first = curve->begin() + kReplayFirstRow;
  return ReplayPlan{
      .history = {curve->begin(), first}, .rates = {first, first + steps}, .peak = peak};
}

std::vector<double> RatesAfter(const ReplayPlan& plan, int steps) {
  const size_t period = std::min(size_t{2} * kStepsPerWeek, plan.history.size());
  size_t row = plan.history.size() + plan.rates.size();
  std::vector<double> rates;
  for (int step = 0; step < steps; ++step) rates.push_back(plan.history[row++ % period]);
  return rates;
}

absl::StatusOr<ReplayResult> RunReplay(const ReplayPlan& plan, const std::string& title,
                                       Stack& stack, View& view, Clock& clock,
                                       Interrupt& interrupt) {
  const Instant start = StartOfReplay(clock);
  absl::Status status = stack.ImportHistory(plan.history, start.wall - plan.step, plan.step);
  if (!status.ok()) return status;

  Observer observer(
      stack.api(), clock,
      {.start = start, .step = plan.step, .steps = static_cast<int>(plan.rates.size())});
  LoadOptions options{.port = stack.setup().http_port, .rates = plan.rates, .step = plan.step};
  options.seed = plan.seed;
  LoadRun load(options, clock);
  std::atomic<bool> stop = false;
  std::atomic<bool> done = false;
  absl::Status load_status;
  std::thread sender([&] {
    load_status = load.Run(start.mono, stop);
    done = true;
  });
  while (!done && !interrupt.Wait(kFrameInterval)) {
    const absl::Duration now = clock.Now().mono;
    view.Show(MakeFrame(plan, title, load.Snapshot(), observer, now - start.mono), now);
  }
  stop = true;
  sender.join();
  view.End();
  status = observer.Stop();
  if (interrupt.Requested()) return absl::CancelledError("interrupted");
  if (!load_status.ok()) return load_status;
  if (!status.ok()) return status;
  return Summarize(load.Snapshot(), observer.Steps(), observer.Services(), kInstanceCapacity,
                   plan.step);
}

}  // namespace shadow::demo
