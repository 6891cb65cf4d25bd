// Pools under demand of known shapes, in the Simulation: one sample a step, as it ends.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"
#include "tests/fakes/simulation.h"
#include "tests/server/core/loop_requests.h"
#include "tests/server/core/scenario/demand_shape.h"

namespace shadow {

// What a pool is to have in shadows now; those that are being deleted count as nothing.
struct ShadowTargets {
  int instances = 0;
  int active = 0;
  bool operator==(const ShadowTargets&) const = default;
};

// A pool in AUTOMATIC with an external base of 100 and instances of 50 on a grid of kStep, of days
// only; an instance takes 15 min until it waits and 2 s to serve.
inline v1::Pool SteppedPool(const std::string& id, absl::Duration step) {
  v1::Pool pool;
  pool.set_name("pools/" + id);
  pool.set_dna("dnas/web");
  pool.set_external_capacity(100);
  pool.set_instance_capacity(50);
  *pool.mutable_step() = ToProto(step);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  v1::Policy& policy = *pool.mutable_policy();
  policy.set_mode(v1::Policy::AUTOMATIC);
  *policy.mutable_activation_interval() = ToProto(step);
  *policy.mutable_provisioning_lead() = ToProto(absl::Minutes(15));
  *policy.mutable_activation_lead() = ToProto(absl::Seconds(2));
  *policy.mutable_canary()->mutable_timeout() = ToProto(absl::Seconds(1));
  return pool;
}

// One thread. Begins on a Wednesday, 0:00 UTC. Throws where a request is refused that must not be.
class PlanningWorld {
 public:
  static constexpr absl::Duration kStep = absl::Minutes(5);
  static constexpr absl::Duration kListLatency = absl::Minutes(10);

  explicit PlanningWorld(int instances_max = 1000)
      : PlanningWorld(
            Simulation::Options{.list_latency = kListLatency, .instances_max = instances_max}) {}
  explicit PlanningWorld(Simulation::Options options) : simulation(std::move(options)) {
    Insist(CreateDna());
  }

  Simulation simulation;
  std::map<std::string, DemandShape> demand;  // By short pool name; none: no samples.

  static v1::Pool Pool(const std::string& id) { return SteppedPool(id, kStep); }

  absl::Time now() const { return simulation.now().wall; }

  void Create(const v1::Pool& pool) {
    v1::CreatePoolRequest request;
    *request.mutable_pool() = pool;
    Insist(request);
  }

  // A killed daemon has made it durable all the same.
  void Insist(const Request& request) {
    const Answer answer = simulation.Call(request);
    if (!answer.ok() && !absl::IsUnavailable(answer.status())) {
      throw std::runtime_error(answer.status().ToString());
    }
  }

  // The `span` before now, by the pool's shape; returns how many samples.
  int ImportHistory(const std::string& id, absl::Duration span) {
    v1::ReportUsageBatchRequest request;
    request.set_pool("pools/" + id);
    for (absl::Time end = now() - span + kStep; end <= now(); end += kStep) {
      AddSample(request, end, demand.at(id));
    }
    Insist(request);
    return request.samples_size();
  }

  void Run(absl::Duration span) {
    RunUntil([] { return false; }, span);
  }

  // As Simulation::RunUntil.
  bool RunUntil(const std::function<bool()>& condition, absl::Duration span) {
    const absl::Time end = now() + span;
    while (now() < end) {
      const absl::Time boundary = absl::UnixEpoch() + absl::Floor(now() - absl::UnixEpoch(), kStep);
      const absl::Time next = std::min(boundary + kStep, end);
      if (simulation.RunUntil(condition, next - now())) return true;
      if (next == boundary + kStep) ReportStep();
    }
    // What the last samples led to.
    return simulation.RunUntil(condition, absl::ZeroDuration());
  }

  ShadowTargets Targets(const std::string& id) const {
    ShadowTargets targets;
    for (const auto& [name, shadow] : simulation.world().pools.at(id).shadows) {
      if (shadow.record.deleting()) continue;
      const v1::ShadowPool& proto = shadow.record.shadow();
      targets.instances += proto.target_instances();
      targets.active += ActiveCount(proto.target_instances(), proto.target_activation_level());
    }
    return targets;
  }

  const std::vector<v1::Decision>& decisions() const { return simulation.store().decisions(); }

 private:
  static void AddSample(v1::ReportUsageBatchRequest& request, absl::Time step_end,
                        const DemandShape& shape) {
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(step_end - absl::Seconds(1));
    sample.set_value(DemandAt(shape, step_end - kStep));
  }

  void ReportStep() {
    for (const auto& [id, shape] : demand) {
      v1::ReportUsageBatchRequest request;
      request.set_pool("pools/" + id);
      AddSample(request, now(), shape);
      Insist(request);
    }
  }
};

}  // namespace shadow
