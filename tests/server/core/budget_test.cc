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

TEST_CASE("two pools that want more than there is: the base is served, priority decides the rest") {
  Simulation simulation({.instances_max = 6});
  REQUIRE(simulation.Call(CreateDna()).ok());
  const auto create = [&](const std::string& name, int base, int priority) {
    v1::CreatePoolRequest request = CreatePool(base, v1::Policy::AUTOMATIC);
    request.mutable_pool()->set_name(name);
    request.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend(name.substr(6));
    request.mutable_pool()->mutable_policy()->set_priority(priority);
    return simulation.Call(request).ok();
  };
  REQUIRE(create("pools/low", 1, 0));
  REQUIRE(create("pools/high", 1, 10));
  const auto report = [&](const std::string& name, double demand) {
    v1::ReportUsageBatchRequest request = Report(simulation.now().wall, demand);
    request.set_pool(name);
    return simulation.Call(request).ok();
  };
  const auto target = [&](const std::string& id) {
    int instances = 0;
    for (const auto& [name, shadow] : simulation.world().pools.at(id).shadows) {
      instances += shadow.record.shadow().target_instances();
    }
    return instances;
  };
  // Each wants 200 x 1.1 = 220: 4 beyond its base of 50. Four are left.
  for (int round = 0; round < 40; ++round) {
    REQUIRE(report("pools/low", 200));
    if (round >= 20) REQUIRE(report("pools/high", 200));
    simulation.Run(absl::Seconds(3));
    REQUIRE(target("low") + target("high") <= 4);
    REQUIRE(simulation.provider.Lives().size() <= 6);
    if (round == 19) CHECK(target("low") == 4);  // Alone it has them all.
  }
  CHECK(target("high") == 4);
  CHECK(target("low") == 0);
  int serving = 0;
  for (const auto& [id, pool] : simulation.world().pools) {
    for (const auto& [name, member] : pool.members) {
      serving += member.record.instance().state() == v1::Instance::ACTIVE;
    }
  }
  CHECK(serving == 6);
}

}  // namespace shadow
