// The life of a shadow by hand, insisted on through any number of crashes of the daemon.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "tests/server/core/loop_requests.h"

namespace shadow {

// Until it is answered: a killed daemon is asked again, with the same request id.
template <typename R>
absl::Status Insist(Simulation& simulation, R request, const std::string& request_id) {
  constexpr int kTriesMax = 20;
  request.set_request_id(request_id);
  absl::Status status = absl::UnavailableError("not asked");
  for (int i = 0; absl::IsUnavailable(status) && i < kTriesMax; ++i) {
    status = simulation.Call(request).status();
  }
  return status;
}

// Whether traffic may go to an instance that does not run: only where one died by itself.
enum class MisledTraffic { kNever, kMayBe };

// False too where traffic was misled that may not be.
inline bool Reaches(Simulation& simulation, v1::ShadowPool::State state, int serving,
                    MisledTraffic misled) {
  bool misleads = false;
  const bool reached = simulation.RunUntil(
      [&] {
        misleads |= misled == MisledTraffic::kNever && !simulation.MisledTraffic().empty();
        return misleads || (ShadowIs(simulation, state) &&
                            OnlyShadow(simulation)->serving_instances() == serving);
      },
      kLimit);
  return reached && !misleads;
}

inline void CheckNothingStray(Simulation& simulation) {
  CHECK(ProviderIds(simulation) == LiveMembers(simulation));
  CHECK(BalancerAddresses(simulation) == ActiveAddresses(simulation));
  CHECK(simulation.MisledTraffic().empty());
}

// A base of 1, and a shadow of 2: suspended, half active, all active, suspended, deleted.
inline void Live(Simulation& simulation, MisledTraffic misled = MisledTraffic::kNever) {
  REQUIRE(Insist(simulation, CreateDna(), "a").ok());
  REQUIRE(Insist(simulation, CreatePool(1), "b").ok());
  REQUIRE(Insist(simulation, CreateShadow(150), "c").ok());
  REQUIRE(Reaches(simulation, v1::ShadowPool::SUSPENDED, 0, misled));
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(Insist(simulation, Activate(name, 50), "d").ok());
  REQUIRE(Reaches(simulation, v1::ShadowPool::ACTIVE, 1, misled));
  REQUIRE(Insist(simulation, Activate(name, 100), "e").ok());
  REQUIRE(Reaches(simulation, v1::ShadowPool::ACTIVE, 2, misled));
  REQUIRE(Insist(simulation, Activate(name, 0), "f").ok());
  REQUIRE(Reaches(simulation, v1::ShadowPool::SUSPENDED, 0, misled));
  REQUIRE(Insist(simulation, DeleteShadow(name), "g").ok());
  REQUIRE(simulation.RunUntil([&] { return simulation.world().pools.at("web").shadows.empty(); },
                              kLimit));
  REQUIRE(simulation.RunUntil(
      [&] { return CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::BASE) == 1; },
      kLimit));
  simulation.Run(absl::Seconds(10));
}

}  // namespace shadow
