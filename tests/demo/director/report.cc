#include "tests/demo/director/report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow::demo {
namespace {

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return NearestRank(values, 0.5);
}

std::string Milliseconds(double value, int64_t count) {
  return count == 0 ? std::string("-") : absl::StrFormat("%.0f ms", value);
}

std::string Row(const char* name, const std::string& with_shadow,
                const std::string& without_shadow) {
  return absl::StrFormat("  %-34s %14s %14s\n", name, with_shadow, without_shadow);
}

std::string ResultJson(const ReplayResult& result) {
  return absl::StrFormat(
      "{\"requests\": %d, \"failed\": %d, \"latency_p50_ms\": %.2f, \"latency_p99_ms\": %.2f, "
      "\"covered_share\": %.4f, \"cold_starts\": %d, \"wakes\": %d, \"cold_p50_ms\": %.2f, "
      "\"wake_p50_ms\": %.2f, \"idle_instance_seconds\": %.1f}",
      result.requests, result.failed, result.latency_p50_ms, result.latency_p99_ms,
      result.covered_share, result.cold_starts, result.wakes, result.cold_p50_ms,
      result.wake_p50_ms, result.idle_instance_seconds);
}

}  // namespace

ReplayResult Summarize(const LoadReport& load, const std::vector<StepState>& steps,
                       const std::vector<Service>& services, double instance_capacity,
                       absl::Duration step) {
  ReplayResult result;
  result.requests = load.sent;
  result.failed = load.failed;
  result.latency_p50_ms = NearestRank(load.latencies_ms, 0.5);
  result.latency_p99_ms = NearestRank(load.latencies_ms, 0.99);

  const double seconds = absl::ToDoubleSeconds(step);
  int64_t covered = 0;
  for (size_t i = 0; i < load.steps.size(); ++i) {
    if (i >= steps.size() || steps[i].samples == 0) continue;
    const double rate = static_cast<double>(load.steps[i].arrivals) / seconds;
    if (steps[i].serving * instance_capacity >= rate) ++covered;
    const double needed = std::ceil(rate / instance_capacity);
    result.idle_instance_seconds += std::max(0.0, steps[i].running - needed) * seconds;
    result.suspended_instance_seconds += steps[i].suspended * seconds;
  }
  if (!load.steps.empty()) {
    result.covered_share = static_cast<double>(covered) / static_cast<double>(load.steps.size());
  }

  std::vector<double> cold_ms;
  std::vector<double> wake_ms;
  for (const Service& service : services) {
    (service.woken ? wake_ms : cold_ms)
        .push_back(absl::ToDoubleMilliseconds(service.need_to_serve));
  }
  result.cold_starts = static_cast<int64_t>(cold_ms.size());
  result.wakes = static_cast<int64_t>(wake_ms.size());
  result.cold_p50_ms = Median(std::move(cold_ms));
  result.wake_p50_ms = Median(std::move(wake_ms));
  return result;
}

std::string ComparisonTable(const ReplayResult& with_shadow, const ReplayResult& without_shadow) {
  const auto row = [&](const char* name, auto&& show) {
    return Row(name, show(with_shadow), show(without_shadow));
  };
  using Result = const ReplayResult&;
  std::string table = Row("", "with shadows", "without");
  table += row("requests", [](Result r) { return absl::StrCat(r.requests); });
  table += row("failed", [](Result r) { return absl::StrCat(r.failed); });
  table += row("latency p50", [](Result r) { return Milliseconds(r.latency_p50_ms, r.requests); });
  table += row("latency p99", [](Result r) { return Milliseconds(r.latency_p99_ms, r.requests); });
  table += row("steps covered",
               [](Result r) { return absl::StrFormat("%.1f %%", 100 * r.covered_share); });
  table += row("instances started cold", [](Result r) { return absl::StrCat(r.cold_starts); });
  table += row("  need to served, median",
               [](Result r) { return Milliseconds(r.cold_p50_ms, r.cold_starts); });
  table += row("instances woken", [](Result r) { return absl::StrCat(r.wakes); });
  table += row("  need to served, median",
               [](Result r) { return Milliseconds(r.wake_p50_ms, r.wakes); });
  table += row("idle instance-seconds",
               [](Result r) { return absl::StrFormat("%.0f", r.idle_instance_seconds); });
  table += row("suspended instance-seconds",
               [](Result r) { return absl::StrFormat("%.0f", r.suspended_instance_seconds); });
  return table;
}

std::string ComparisonJson(const ReplayResult& with_shadow, const ReplayResult& without_shadow) {
  return absl::StrCat("{\"with_shadow\": ", ResultJson(with_shadow),
                      ",\n \"without_shadow\": ", ResultJson(without_shadow), "}\n");
}

}  // namespace shadow::demo
