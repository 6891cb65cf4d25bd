// The compiled form of a spec: validated and with its defaults, made once on entry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forecast/forecaster.h"
#include "server/core/capacity/capacity_planner.h"
#include "server/core/spec/bounds.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

// Of idle_cost, shortage_cost and the prices of a replay, in any one unit.
inline constexpr double kCostMax = 1e12;

// What a provider can do, and how long it takes.
struct ProviderTraits {
  // false: a suspended instance goes on running, out of the balancer and at its smallest.
  bool suspends = true;
  absl::Duration poll_interval;  // Between two looks at an instance that is on its way.
  absl::Duration list_interval;
  absl::Duration call_time;  // Within which each call returns.
  // That one call of Apply may take. More than 1: where they have to wait, they go together.
  int operations_per_call = 1;
};

struct CompiledProvider {
  std::string key;  // Of all specs that mean the same provider, e.g. "process".
  v1::Provider spec;
  ProviderTraits traits;
};

struct CompiledDna {
  v1::Dna dna;                // As given; output-only fields set.
  std::string revision_name;  // "dnas/web@0123456789ab"
  absl::Duration start_timeout;
  absl::Duration stop_timeout;
  absl::Duration ready_interval;
  absl::Duration ready_timeout;
  absl::Duration warm_up_timeout;
  std::optional<absl::Duration> warm_up_latency_max;
  absl::Duration resume_hook_timeout;
};

struct CompiledPool {
  v1::Pool pool;  // With every default filled in.
  std::shared_ptr<const CompiledProvider> provider;
  bool has_balancer = false;  // Somebody must be told of its instances, and asked about them.
  bool polls_usage = false;   // A source is to be read; otherwise samples are pushed alone.
  absl::Duration step;
  std::vector<absl::Duration> season_lengths;
  absl::TimeZone time_zone;
  std::vector<Forecaster::Event> demand_events;
  double base_capacity_per_spec = 0;  // Demand units that the base carries when all of it serves.
  CapacityTarget capacity_target;
  double service_level = 0.99;  // The policy's, or the share that its costs make worth covering.
  std::vector<CompiledOverride> overrides;
  absl::Duration activation_interval;
  absl::Duration stabilization_window;
  absl::Duration look_ahead;
  absl::Duration usage_max_age;
  std::optional<absl::Duration> provisioning_lead;
  std::optional<absl::Duration> activation_lead;
  absl::Duration canary_timeout;
  absl::Duration latency_slack;
  absl::Duration drain_timeout;
  absl::Duration suspended_check_interval;  // 0: suspended instances are not checked.
};

// Validate and compile. kInvalidArgument: a FieldError whose path begins with "dna." or "pool.".
// The revision of the result is computed here. Of a DNA, the names and numbers of a host (signals,
// users, capabilities, ports, limits of the system) are not looked at: Provider::Supports does.
absl::StatusOr<CompiledDna> CompileDna(const v1::Dna& dna);
absl::StatusOr<CompiledPool> CompilePool(const v1::Pool& pool);

// `spec`: validated. If no kind is set: the default, `process`.
std::shared_ptr<const CompiledProvider> CompileProvider(const v1::Provider& spec);
// Of pools that name none.
std::shared_ptr<const CompiledProvider> DefaultProvider();

// JSON of the content fields, keys sorted, no spaces, unset fields left out.
std::string CanonicalJson(const v1::Dna& dna);

}  // namespace shadow
