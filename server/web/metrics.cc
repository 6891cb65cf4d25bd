#include "server/web/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "server/core/effects/effect_kind.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// One family after another, in the order in which they are asked for. Each is text before the next
// begins, because as messages all of them would take ten times as much memory.
class Families {
 public:
  // Metrics that follow are of this family.
  void Begin(const char* name, const char* help, MetricType type) {
    Flush();
    family_ = {{.name = name, .help = help, .type = type, .metric = {}}};
  }
  void Add(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    // The serializer takes the one that the type names.
    metric.gauge.value = value;
    metric.counter.value = value;
    family_.back().metric.push_back(std::move(metric));
  }
  // Unless it is unknown, which is no metric at all.
  void AddKnown(Labels labels, double value) {
    if (!std::isnan(value)) Add(std::move(labels), value);
  }
  void Add(ClientMetric metric) { family_.back().metric.push_back(std::move(metric)); }

  std::string Text() {
    Flush();
    return std::move(text_);
  }

 private:
  void Flush() {
    text_ += prometheus::TextSerializer().Serialize(family_);
    family_.clear();
  }

  std::vector<MetricFamily> family_;  // One, or none before the first.
  std::string text_;
};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

using Pools = SharedMap<std::shared_ptr<const PoolSnapshot>>;

// One family with one metric for each pool.
template <typename Value>
void AddOfPools(Families& families, const Pools& pools, const char* name, const char* help,
                MetricType type, const Value& value) {
  families.Begin(name, help, type);
  for (const auto& [full_name, pool] : pools) {
    families.AddKnown({{"pool", LastId(full_name)}}, value(*pool));
  }
}

double Get(const std::atomic<double>& figure) { return figure.load(std::memory_order_relaxed); }
double Get(const std::atomic<int>& figure) { return figure.load(std::memory_order_relaxed); }
double Get(const std::atomic<int64_t>& figure) {
  return static_cast<double>(figure.load(std::memory_order_relaxed));
}

// Of a pool without figures: unknown.
template <typename Figure>
auto FigureOf(Figure PoolFigures::*figure) {
  return [figure](const PoolSnapshot& pool) {
    return pool.figures == nullptr ? PoolFigures::kUnknown : Get((*pool.figures).*figure);
  };
}

// In demand units, by what serves now.
double ServingCapacity(const PoolSnapshot& pool) {
  int serving = pool.pool.serving_base_instances();
  for (const auto& [name, shadow] : pool.shadows) serving += shadow.serving_instances();
  return pool.pool.external_capacity() + serving * pool.pool.instance_capacity();
}

void AddDemand(Families& families, const Pools& pools) {
  AddOfPools(families, pools, "shadowd_pool_demand",
             "Last actual demand, in the pool's demand unit.", MetricType::Gauge,
             FigureOf(&PoolFigures::demand));
  AddOfPools(families, pools, "shadowd_pool_forecast_demand",
             "Forecast demand at the service level, its highest over the activation lead, in the "
             "pool's demand unit.",
             MetricType::Gauge, FigureOf(&PoolFigures::forecast));
  AddOfPools(families, pools, "shadowd_pool_capacity",
             "Demand that the serving instances carry, in the pool's demand unit.",
             MetricType::Gauge, ServingCapacity);
  AddOfPools(families, pools, "shadowd_pool_needed_shadow_instances",
             "Shadow instances that the actual demand needs.", MetricType::Gauge,
             FigureOf(&PoolFigures::needed));
  AddOfPools(families, pools, "shadowd_pool_wanted_shadow_instances",
             "Shadow instances that the pool would have, were there enough.", MetricType::Gauge,
             FigureOf(&PoolFigures::wanted));
  AddOfPools(
      families, pools, "shadowd_pool_service_level",
      "Share of steps in which ready capacity must cover demand; not set where costs decide.",
      MetricType::Gauge, [](const PoolSnapshot& pool) {
        const v1::Policy& policy = pool.pool.policy();
        if (policy.has_shortage_cost()) return PoolFigures::kUnknown;
        return policy.has_service_level() ? policy.service_level() : 0.99;
      });
}

void AddCounters(Families& families, const Pools& pools) {
  families.Begin("shadowd_pool_steps_total",
                 "Ended steps, by whether the serving capacity covered their mean demand.",
                 MetricType::Counter);
  for (const auto& [name, pool] : pools) {
    if (pool->figures == nullptr) continue;
    families.Add({{"pool", LastId(name)}, {"met", "true"}}, Get(pool->figures->steps_met));
    families.Add({{"pool", LastId(name)}, {"met", "false"}}, Get(pool->figures->steps_missed));
  }
  AddOfPools(families, pools, "shadowd_pool_idle_instance_seconds_total",
             "Seconds of instances beyond the need of ended steps.", MetricType::Counter,
             FigureOf(&PoolFigures::idle_seconds));
  families.Begin("shadowd_pool_decisions_total", "Recorded decisions, by their first reason.",
                 MetricType::Counter);
  for (const auto& [name, pool] : pools) {
    if (pool->figures == nullptr) continue;
    for (size_t i = 0; i < pool->figures->decisions.size(); ++i) {
      const double count = Get(pool->figures->decisions[i]);
      if (count == 0) continue;
      const auto reason = static_cast<v1::Decision::Reason>(i);
      families.Add({{"pool", LastId(name)}, {"reason", Lower(v1::Decision::Reason_Name(reason))}},
                   count);
    }
  }
}

void AddInstances(Families& families, const Pools& pools) {
  families.Begin("shadowd_pool_instances", "Instances, by role and state.", MetricType::Gauge);
  for (const auto& [name, pool] : pools) {
    std::map<std::pair<int, int>, int> counts;
    for (const auto& [id, instance] : pool->instances) {
      ++counts[{instance.role(), instance.state()}];
    }
    for (const auto role : {v1::Instance::BASE, v1::Instance::SHADOW}) {
      for (int state = v1::Instance::CREATING; state < v1::Instance::State_ARRAYSIZE; ++state) {
        families.Add(
            {{"pool", LastId(name)},
             {"role", Lower(v1::Instance::Role_Name(role))},
             {"state", Lower(v1::Instance::State_Name(static_cast<v1::Instance::State>(state)))}},
            counts[{role, state}]);
      }
    }
  }
  AddOfPools(families, pools, "shadowd_pool_serving_base_instances",
             "Instances of the base that serve.", MetricType::Gauge,
             [](const PoolSnapshot& pool) { return pool.pool.serving_base_instances(); });
}

void AddShadows(Families& families, const Pools& pools) {
  const auto add = [&](const char* name, const char* help, const auto& value) {
    families.Begin(name, help, MetricType::Gauge);
    for (const auto& [pool_name, pool] : pools) {
      for (const auto& [shadow_name, shadow] : pool->shadows) {
        families.Add({{"pool", LastId(pool_name)}, {"shadow", LastId(shadow_name)}}, value(shadow));
      }
    }
  };
  add("shadowd_shadow_target_instances", "Members that the shadow pool must have.",
      [](const v1::ShadowPool& shadow) { return shadow.target_instances(); });
  add("shadowd_shadow_target_activation_level_ratio",
      "Share of the members that must serve, 0 to 1.",
      [](const v1::ShadowPool& shadow) { return shadow.target_activation_level() / 100.0; });
  add("shadowd_shadow_serving_instances", "Members that serve.",
      [](const v1::ShadowPool& shadow) { return shadow.serving_instances(); });
  add("shadowd_shadow_suspended_instances", "Members that are verified and wait.",
      [](const v1::ShadowPool& shadow) { return shadow.suspended_instances(); });
  add("shadowd_shadow_failed_instances", "Members that failed and are not replaced yet.",
      [](const v1::ShadowPool& shadow) { return shadow.failed_instances(); });
}

void AddLeads(Families& families, const Pools& pools) {
  const auto seconds = [](bool known, const google::protobuf::Duration& lead) {
    return known ? absl::ToDoubleSeconds(FromProto(lead)) : PoolFigures::kUnknown;
  };
  AddOfPools(families, pools, "shadowd_pool_provisioning_lead_seconds",
             "Time from the creation of an instance until it is suspended and verified.",
             MetricType::Gauge, [&](const PoolSnapshot& pool) {
               return seconds(pool.pool.has_provisioning_lead(), pool.pool.provisioning_lead());
             });
  AddOfPools(families, pools, "shadowd_pool_activation_lead_seconds",
             "Time from the activation of an instance until it serves.", MetricType::Gauge,
             [&](const PoolSnapshot& pool) {
               return seconds(pool.pool.has_activation_lead(), pool.pool.activation_lead());
             });
}

// 1: TRUE, 0: FALSE; a condition that is UNKNOWN is not there.
void AddCondition(Families& families, Labels labels, const v1::Condition& condition) {
  labels.push_back({"type", condition.type()});
  labels.push_back({"reason", condition.reason()});
  const bool holds = condition.status() == v1::Condition::TRUE;
  if (holds || condition.status() == v1::Condition::FALSE) {
    families.Add(std::move(labels), holds ? 1 : 0);
  }
}

void AddConditions(Families& families, const Snapshot& snapshot) {
  families.Begin("shadowd_pool_condition", "A pool's condition: 1 if it holds, 0 if it does not.",
                 MetricType::Gauge);
  for (const auto& [name, pool] : snapshot.pools) {
    for (const v1::Condition& condition : pool->pool.conditions()) {
      AddCondition(families, {{"pool", LastId(name)}}, condition);
    }
  }
  families.Begin("shadowd_condition", "The daemon's condition: 1 if it holds, 0 if it does not.",
                 MetricType::Gauge);
  for (const v1::Condition& condition : snapshot.conditions) {
    AddCondition(families, {}, condition);
  }
}

ClientMetric HistogramOf(std::string_view call, const CallCounts::OfKind& counts) {
  ClientMetric metric;
  metric.label = {{"call", std::string(call)}};
  uint64_t sum = 0;
  for (size_t i = 0; i < counts.buckets.size(); ++i) {
    sum += static_cast<uint64_t>(counts.buckets[i].load(std::memory_order_relaxed));
    const double bound = i < CallCounts::kBounds.size() ? CallCounts::kBounds[i]
                                                        : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({.cumulative_count = sum, .upper_bound = bound});
  }
  metric.histogram.sample_count = sum;
  metric.histogram.sample_sum = Get(counts.nanoseconds) / 1e9;
  return metric;
}

void AddCalls(Families& families, const CallCounts& calls) {
  const auto each = [&](const auto& add) {
    for (size_t i = 0; i < CallCounts::kKinds; ++i) {
      const auto kind = static_cast<EffectKind>(i);
      add(KindName(kind), calls.of(kind));
    }
  };
  families.Begin("shadowd_call_duration_seconds",
                 "Calls to providers, balancers, usage sources and probes, and long work.",
                 MetricType::Histogram);
  each([&](std::string_view call, const auto& counts) { families.Add(HistogramOf(call, counts)); });
  families.Begin("shadowd_call_errors_total", "Calls that ended with an error.",
                 MetricType::Counter);
  each([&](std::string_view call, const auto& counts) {
    families.Add({{"call", std::string(call)}}, Get(counts.errors));
  });
}

void AddDaemon(Families& families, const MetricsInput& input) {
  families.Begin("shadowd_build_info", "Always 1; the version is a label.", MetricType::Gauge);
  families.Add({{"version", input.version}}, 1);
  families.Begin("shadowd_start_time_seconds", "When the daemon started, Unix time.",
                 MetricType::Gauge);
  families.Add({}, absl::ToDoubleSeconds(input.start_time - absl::UnixEpoch()));
  families.Begin("shadowd_pools", "Pools.", MetricType::Gauge);
  families.Add({}, static_cast<double>(input.snapshot.pools.size()));
  families.Begin("shadowd_last_event_revision", "Revision of the newest event.", MetricType::Gauge);
  families.Add({}, static_cast<double>(input.snapshot.revision));
  ClientMetric ticks;
  ticks.summary.sample_count = static_cast<uint64_t>(input.ticks.ticks);
  ticks.summary.sample_sum = absl::ToDoubleSeconds(input.ticks.total);
  families.Begin("shadowd_tick_duration_seconds", "Ticks of the control loop.",
                 MetricType::Summary);
  families.Add(std::move(ticks));
  families.Begin("shadowd_longest_tick_seconds", "The longest tick since the start.",
                 MetricType::Gauge);
  families.Add({}, absl::ToDoubleSeconds(input.ticks.longest));
  families.Begin("shadowd_queue_length", "Inputs that wait for the control loop or for the store.",
                 MetricType::Gauge);
  families.Add({{"queue", "requests"}}, static_cast<double>(input.queues.requests));
  families.Add({{"queue", "results"}}, static_cast<double>(input.queues.results));
  families.Add({{"queue", "commits"}}, input.queues.commits);
  families.Begin("shadowd_store_stalled", "1 while the store cannot write.", MetricType::Gauge);
  families.Add({}, input.store_stalled ? 1 : 0);
  families.Begin("shadowd_watchers", "Open streams of events.", MetricType::Gauge);
  families.Add({}, static_cast<double>(input.watchers));
}

}  // namespace

std::string MetricsText(const MetricsInput& input) {
  Families families;
  AddDaemon(families, input);
  AddConditions(families, input.snapshot);
  AddDemand(families, input.snapshot.pools);
  AddCounters(families, input.snapshot.pools);
  AddInstances(families, input.snapshot.pools);
  AddShadows(families, input.snapshot.pools);
  AddLeads(families, input.snapshot.pools);
  AddCalls(families, input.calls);
  return families.Text();
}

}  // namespace shadow
