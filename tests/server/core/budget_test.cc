#include "server/core/capacity/budget.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "tests/server/core/loop_requests.h"

namespace shadow {

TEST_CASE("scarce instances go where they are worth most") {
  const std::vector<BudgetClaim> claims = {{.wanted = 2, .worth = {.9, .2}},
                                           {.wanted = 2, .worth = {.5, .4}}};
  CHECK(ShareBudget(claims, 3) == std::vector<int>{1, 2});
  CHECK(ShareBudget(claims, 1) == std::vector<int>{1, 0});
  CHECK(ShareBudget(claims, 9) == std::vector<int>{2, 2});
  CHECK(ShareBudget(claims, 0) == std::vector<int>{0, 0});
  CHECK(ShareBudget(claims, -5) == std::vector<int>{0, 0});
}

TEST_CASE("a higher priority is served first, whatever it is worth") {
  const std::vector<BudgetClaim> claims = {{.priority = 0, .wanted = 2, .worth = {1, 1}},
                                           {.priority = 5, .wanted = 2, .worth = {.1}}};
  CHECK(ShareBudget(claims, 3) == std::vector<int>{1, 2});
}

TEST_CASE(
    "a budget is never exceeded, nobody gets more than was wanted, and nothing is left over") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<BudgetClaim> claims(1 + random() % 6);
    int wanted = 0;
    for (BudgetClaim& claim : claims) {
      claim.priority = static_cast<int>(random() % 3);
      claim.wanted = static_cast<int>(random() % 9);
      for (double worth = 1; worth > .2; worth -= .1) claim.worth.push_back(worth);
      wanted += claim.wanted;
    }
    const int total = static_cast<int>(random() % 30);
    const std::vector<int> shares = ShareBudget(claims, total);
    REQUIRE(std::accumulate(shares.begin(), shares.end(), 0) == std::min(total, wanted));
    for (size_t i = 0; i < shares.size(); ++i) REQUIRE(shares[i] <= claims[i].wanted);
  }
}

// "pools/low" and "pools/high", each with one instance as its base, of 50 each.
class TwoPools {
 public:
  explicit TwoPools(int instances_max) : simulation({.instances_max = instances_max}) {
    REQUIRE(simulation.Call(CreateDna()).ok());
    Create("low", 0);
    Create("high", 10);
  }

  void Report(const std::string& id, double demand) {
    v1::ReportUsageBatchRequest request = shadow::Report(simulation.now().wall, demand);
    request.set_pool("pools/" + id);
    REQUIRE(simulation.Call(request).ok());
  }

  int Target(const std::string& id) const {
    int instances = 0;
    for (const auto& [name, shadow] : simulation.world().pools.at(id).shadows) {
      instances += shadow.record.shadow().target_instances();
    }
    return instances;
  }

  int Serving() const {
    return CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::BASE) +
           CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::SHADOW);
  }

  // `demand` of the pool "low" alone, for 2 minutes.
  void RunUnder(double demand) {
    for (int round = 0; round < 40; ++round) {
      Report("low", demand);
      for (int second = 0; second < 3; ++second) {
        simulation.Run(absl::Seconds(1));
        REQUIRE(simulation.MisledTraffic().empty());
      }
    }
  }

  Simulation simulation;

 private:
  void Create(const std::string& id, int priority) {
    v1::CreatePoolRequest request = CreatePool(1, v1::Policy::AUTOMATIC);
    request.mutable_pool()->set_name("pools/" + id);
    request.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend(id);
    request.mutable_pool()->mutable_policy()->set_priority(priority);
    REQUIRE(simulation.Call(request).ok());
  }
};

TEST_CASE("two pools that want more than there is: the base is served, priority decides the rest") {
  TwoPools pools(6);
  // Each wants 200 x 1.1 = 220: 4 beyond its base of 50. Four are left.
  for (int round = 0; round < 40; ++round) {
    pools.Report("low", 200);
    if (round >= 20) pools.Report("high", 200);
    pools.simulation.Run(absl::Seconds(3));
    REQUIRE(pools.Target("low") + pools.Target("high") <= 4);
    REQUIRE(pools.simulation.provider.Lives().size() <= 6);
    if (round == 19) CHECK(pools.Target("low") == 4);  // Alone it has them all.
  }
  CHECK(pools.Target("high") == 4);
  CHECK(pools.Target("low") == 0);
  CHECK(pools.Serving() == 6);
}

TEST_CASE("a lower limit of all instances is kept to at once, and nothing that serves is cut off") {
  TwoPools pools(1000);
  pools.RunUnder(200);
  REQUIRE(pools.Target("low") == 4);
  REQUIRE(pools.Serving() == 6);

  pools.simulation.SetInstancesMax(3);
  CHECK(pools.simulation.store().events().back().message() == "instances_max is 3 instead of 1000");
  CHECK(pools.simulation.world().pools.at("low").record.pool().shadow_instances_left() == 1);
  pools.RunUnder(200);
  CHECK(pools.Target("low") == 1);
  CHECK(pools.Serving() == 3);
  CHECK(pools.simulation.provider.Lives().size() == 3);

  pools.simulation.SetInstancesMax(1);  // Less than the bases: they stay, and nothing else.
  pools.RunUnder(200);
  CHECK(pools.Target("low") == 0);
  CHECK(pools.Serving() == 2);

  pools.simulation.SetInstancesMax(1000);
  pools.RunUnder(200);
  CHECK(pools.Target("low") == 4);
  CHECK(pools.Serving() == 6);
}

}  // namespace shadow
