#include "server/web/feed_series.h"

#include <algorithm>
#include <utility>

#include "server/core/names.h"
#include "server/core/time_proto.h"
#include "server/web/feed_parts.h"

namespace shadow {
namespace {

constexpr int kSparkPoints = 96;

// Means of buckets of `length` since `origin`, as [time, value].
FeedJson MeansOf(const std::vector<v1::Sample>& samples, absl::Time origin, absl::Duration length) {
  FeedJson list = FeedJson::array();
  for (size_t i = 0; i < samples.size();) {
    const absl::Time time = FromProto(samples[i].time());
    const absl::Time begin = origin + absl::Floor(time - origin, length);
    double sum = 0;
    double count = 0;
    for (; i < samples.size() && FromProto(samples[i].time()) < begin + length; ++i) {
      sum += samples[i].value();
      ++count;
    }
    if (count == 0) break;  // They do not ascend.
    list.push_back({FeedSeconds(begin), FeedNumber(sum / count)});
  }
  return list;
}

FeedJson LastOf(const std::vector<v1::Sample>& samples) {
  if (samples.empty()) return nullptr;
  return {FeedSeconds(FromProto(samples.back().time())), FeedNumber(samples.back().value())};
}

FeedJson ForecastOf(const v1::Forecast& forecast) {
  FeedJson points = FeedJson::array();
  for (const v1::Forecast::Point& point : forecast.points()) {
    // Of one element: braces alone would copy it with Clang, and make a list of it with GCC.
    FeedJson row = FeedJson::array({FeedSeconds(FromProto(point.time()))});
    for (const double value : point.values()) row.push_back(FeedNumber(value));
    points.push_back(std::move(row));
  }
  return {{"quantiles", forecast.quantiles()}, {"points", std::move(points)}};
}

// [time, ready, active] where one changes, of the targets that held from each decision on.
FeedJson CapacityOf(const PoolSnapshot& pool, const FeedChart& chart) {
  FeedJson list = FeedJson::array();
  const auto add = [&list](absl::Time time, double base, double each, int ready, int active) {
    FeedJson row = {FeedSeconds(time), FeedNumber(base + ready * each),
                    FeedNumber(base + active * each)};
    if (!list.empty() && list.back()[1] == row[1] && list.back()[2] == row[2]) return;
    list.push_back(std::move(row));
  };
  for (auto at = chart.decisions.rbegin(); at != chart.decisions.rend(); ++at) {
    const v1::Decision::Inputs& in = at->inputs();
    add(FromProto(at->time()), in.base_capacity(), in.instance_capacity(),
        at->acted() ? at->target_instances() : in.current_instances(),
        at->acted() ? at->target_active() : in.current_active());
  }
  const ShadowCounts now = ShadowCountsOf(pool);
  add(chart.now, BaseCapacity(pool.pool), pool.pool.instance_capacity(), now.target,
      now.wanted_active);
  return list;
}

}  // namespace

std::string ChartJson(const PoolSnapshot& entry, const FeedChart& chart) {
  const v1::Pool& pool = entry.pool;
  const v1::Forecast forecast = chart.forecast.ok() ? *chart.forecast : v1::Forecast();
  absl::Duration step = FromProto(pool.step());
  if (forecast.has_step()) step = std::max(step, FromProto(forecast.step()));
  step = std::max(step, absl::Seconds(1));
  return FeedText({{"unit", pool.demand_unit()},
                   {"time_zone", TimeZoneOf(pool)},
                   {"step", absl::ToDoubleSeconds(step)},
                   {"history", MeansOf(chart.samples, absl::UnixEpoch(), step)},
                   {"last", LastOf(chart.samples)},
                   {"forecast", ForecastOf(forecast)},
                   {"trust", chart.forecast.ok() ? v1::Trust_Name(forecast.trust()) : ""},
                   {"trust_reason", forecast.trust_reason()},
                   {"error", std::string(chart.forecast.status().message())},
                   {"capacity", CapacityOf(entry, chart)},
                   {"service_level", ServiceLevelOf(pool)},
                   {"base_capacity", FeedNumber(BaseCapacity(pool))},
                   {"instance_capacity", FeedNumber(pool.instance_capacity())}});
}

std::string SparkJson(const v1::Pool& pool, const FeedChart& chart) {
  absl::Time start = chart.start;
  if (!chart.samples.empty()) start = std::max(start, FromProto(chart.samples.front().time()));
  const absl::Duration length =
      std::max({(chart.now - start) / kSparkPoints, FromProto(pool.step()), absl::Seconds(1)});
  return FeedText({{"start", FeedSeconds(start)},
                   {"end", FeedSeconds(std::max(chart.now, start + length))},
                   {"points", MeansOf(chart.samples, start, length)},
                   {"last", LastOf(chart.samples)}});
}

std::string LogJson(const std::vector<v1::Decision>& decisions,
                    const std::vector<v1::Event>& events) {
  FeedJson of_decisions = FeedJson::array();
  for (const v1::Decision& decision : decisions) {
    FeedJson reasons = FeedJson::array();
    for (const int reason : decision.reasons()) {
      reasons.push_back(v1::Decision::Reason_Name(static_cast<v1::Decision::Reason>(reason)));
    }
    of_decisions.push_back({{"id", decision.id()},
                            {"time", FeedSeconds(FromProto(decision.time()))},
                            {"kind", v1::Decision::Kind_Name(decision.kind())},
                            {"target", decision.target_instances()},
                            {"active", decision.target_active()},
                            {"before_target", decision.inputs().current_instances()},
                            {"before_active", decision.inputs().current_active()},
                            {"acted", decision.acted()},
                            {"reasons", std::move(reasons)},
                            {"text", decision.explanation()}});
  }
  FeedJson of_events = FeedJson::array();
  for (const v1::Event& event : events) {
    of_events.push_back({{"revision", event.revision()},
                         {"time", FeedSeconds(FromProto(event.time()))},
                         {"kind", v1::Event::Kind_Name(event.kind())},
                         {"short", LastId(event.name())},
                         {"message", event.message()}});
  }
  return FeedText({{"decisions", std::move(of_decisions)}, {"events", std::move(of_events)}});
}

}  // namespace shadow
