// Requests that the tests of the control loop make, and looks at its world.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/loop/mutations/request.h"
#include "server/core/time_proto.h"
#include "tests/fakes/simulation.h"

namespace shadow {

// Of the one pool that these make.
inline constexpr char kPool[] = "pools/web";
// Within which what was asked for is there.
inline constexpr absl::Duration kLimit = absl::Minutes(2);

inline v1::CreateDnaRequest CreateDna() {
  v1::CreateDnaRequest request;
  request.mutable_dna()->set_name("dnas/web");
  request.mutable_dna()->mutable_process()->add_argv("/bin/true");
  return request;
}

// An instance carries 50; behind HAProxy. `base`: managed instances.
inline v1::CreatePoolRequest CreatePool(int base, v1::Policy::Mode mode = v1::Policy::OBSERVE) {
  v1::CreatePoolRequest request;
  v1::Pool& pool = *request.mutable_pool();
  pool.set_name(kPool);
  pool.set_dna("dnas/web");
  pool.set_managed_instances(base);
  pool.set_instance_capacity(50);
  pool.mutable_balancer()->mutable_haproxy()->set_socket_path("/run/haproxy.sock");
  pool.mutable_balancer()->mutable_haproxy()->set_backend("web");
  pool.mutable_policy()->set_mode(mode);
  *pool.mutable_policy()->mutable_canary()->mutable_timeout() = ToProto(absl::Seconds(1));
  return request;
}

inline v1::CreateShadowPoolRequest CreateShadow(double increase) {
  v1::CreateShadowPoolRequest request;
  request.set_pool("pools/web");
  request.set_predicted_demand_increase(increase);
  return request;
}

inline v1::ActivateShadowPoolRequest Activate(const std::string& name, int level) {
  v1::ActivateShadowPoolRequest request;
  request.set_name(name);
  request.set_activation_level(level);
  return request;
}

inline v1::DeleteShadowPoolRequest DeleteShadow(const std::string& name) {
  v1::DeleteShadowPoolRequest request;
  request.set_name(name);
  return request;
}

inline v1::ReportUsageBatchRequest Report(absl::Time time, double value) {
  v1::ReportUsageBatchRequest request;
  request.set_pool("pools/web");
  v1::Sample& sample = *request.add_samples();
  *sample.mutable_time() = ToProto(time);
  sample.set_value(value);
  return request;
}

// A second revision of the DNA, which the pool takes over.
inline v1::UpdateDnaRequest UpdateDna(const std::string& argument = "again") {
  v1::UpdateDnaRequest request;
  *request.mutable_dna() = CreateDna().dna();
  request.mutable_dna()->mutable_process()->add_argv(argument);
  return request;
}

// Demand for `demand`, reported every 30 s, for `span` or until `condition`, which is asked after
// each input; returns whether it held. Throws where a report is refused.
inline bool RunUnder(
    Simulation& simulation, double demand, absl::Duration span,
    const std::function<bool()>& condition = [] { return false; }) {
  constexpr absl::Duration kInterval = absl::Seconds(30);
  for (absl::Duration passed; passed < span; passed += kInterval) {
    const absl::Time now = simulation.now().wall;
    if (now >
        simulation.world().pools.at("web").demand.last_sample) {  // Not where the last call ended.
      const Answer answer = simulation.Call(Report(now, demand));
      if (!answer.ok()) throw std::runtime_error(answer.status().ToString());
    }
    if (simulation.RunUntil(condition, kInterval)) return true;
  }
  return false;
}

// The one shadow of the pool "web"; nullptr: none, or more than one.
inline const v1::ShadowPool* OnlyShadow(const Simulation& simulation) {
  const auto pool = simulation.world().pools.find("web");
  if (pool == simulation.world().pools.end() || pool->second.shadows.size() != 1) return nullptr;
  return &pool->second.shadows.begin()->second.record.shadow();
}

inline bool ShadowIs(const Simulation& simulation, v1::ShadowPool::State state) {
  const v1::ShadowPool* shadow = OnlyShadow(simulation);
  return shadow != nullptr && shadow->state() == state;
}

inline int CountMembers(const Simulation& simulation, v1::Instance::State state,
                        v1::Instance::Role role = v1::Instance::SHADOW) {
  int count = 0;
  for (const auto& [id, pool] : simulation.world().pools) {
    for (const auto& [member_id, member] : pool.members) {
      const v1::Instance& instance = member.record.instance();
      count += instance.state() == state && instance.role() == role;
    }
  }
  return count;
}

// Ids of the members of all pools that are not FAILED.
inline std::set<std::string> LiveMembers(const Simulation& simulation) {
  std::set<std::string> ids;
  for (const auto& [pool_id, pool] : simulation.world().pools) {
    for (const auto& [id, member] : pool.members) {
      if (member.record.instance().state() != v1::Instance::FAILED) ids.insert(id);
    }
  }
  return ids;
}

inline std::set<std::string> ProviderIds(const Simulation& simulation) {
  std::set<std::string> ids;
  for (const auto& [id, life] : simulation.provider.Lives()) ids.insert(id);
  return ids;
}

inline std::set<std::string> BalancerAddresses(Simulation& simulation) {
  std::set<std::string> addresses;
  const auto view = simulation.balancers["pools/web"].View();
  for (const BalancerMember& member : view->members) addresses.insert(member.address);
  return addresses;
}

// Addresses of all ACTIVE members.
inline std::set<std::string> ActiveAddresses(const Simulation& simulation) {
  std::set<std::string> addresses;
  for (const auto& [pool_id, pool] : simulation.world().pools) {
    for (const auto& [id, member] : pool.members) {
      const v1::Instance& instance = member.record.instance();
      if (instance.state() == v1::Instance::ACTIVE) addresses.insert(instance.address());
    }
  }
  return addresses;
}

}  // namespace shadow
