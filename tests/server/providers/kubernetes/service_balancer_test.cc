// The balancer of a Service, beyond what every balancer keeps to.
#include "server/balancers/service_balancer.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/providers/kubernetes_world.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

struct LabelledWorld {
  LabelledWorld() {
    for (const char* id : {"a1", "a2"}) {
      InstanceSpec instance = TestInstance(id, PodDna());
      REQUIRE(Create(cluster.provider(), instance).ok());
      REQUIRE(Becomes(cluster.provider(), instance, Life::kRunning));
      addresses.push_back(Look(cluster.provider(), instance).address);
    }
  }
  static v1::ServiceBalancer Spec() {
    v1::ServiceBalancer spec;
    spec.set_label("example.com/role");
    spec.set_value("serving");
    return spec;
  }
  std::string Label(const std::string& id) {
    for (const Json& pod : cluster.pods().Pods()) {
      if (pod["metadata"]["labels"][kInstanceLabel] != id) continue;
      return pod["metadata"]["labels"].value("example.com/role", "");
    }
    return "none";
  }
  absl::Status Give(int weight, bool draining = false) {
    const std::vector<Assignment> all = {
        {.id = "a1", .address = addresses[0], .weight_percent = weight, .draining = draining}};
    const auto result = balancer.Assign(all);
    return result.ok() ? result->assigned[0] : result.status();
  }

  KubernetesWorld cluster;
  std::vector<std::string> addresses;
  ServiceBalancer balancer{cluster.cluster(), "web", Spec()};
};

TEST_CASE("a pod has the label of its Service while it has a share of the traffic") {
  LabelledWorld world;
  CHECK(world.Label("a1").empty());
  REQUIRE(world.Give(0).ok());
  CHECK(world.Label("a1").empty());
  REQUIRE(world.Give(10).ok());
  CHECK(world.Label("a1") == "serving");
  REQUIRE(world.Give(100).ok());
  CHECK(world.Label("a1") == "serving");
  REQUIRE(world.Give(0, true).ok());
  CHECK(world.Label("a1").empty());
  CHECK(world.balancer.View()->members[0].draining);
  REQUIRE(world.Give(100).ok());
  REQUIRE(world.balancer.Assign({})->left.empty());
  CHECK(world.Label("a1").empty());
}

TEST_CASE("a label that somebody else sets is seen, and taken away") {
  LabelledWorld world;
  REQUIRE(world.Give(100).ok());
  world.cluster.pods().Change(world.cluster.NameOf("a2"), [](Json& pod) {
    pod["metadata"]["labels"]["example.com/role"] = "serving";
  });
  REQUIRE(PollUntil(kPatience, [&] { return world.balancer.View()->members.size() == 2; }));
  REQUIRE(world.Give(100).ok());
  CHECK(world.Label("a2").empty());
  // And one that somebody takes away is missing.
  world.cluster.pods().Change(world.cluster.NameOf("a1"), [](Json& pod) {
    pod["metadata"]["labels"].erase("example.com/role");
  });
  CHECK(
      PollUntil(kPatience, [&] { return world.balancer.View()->members[0].weight_percent == 0; }));
}

TEST_CASE("who serves is known again after a restart of the daemon") {
  LabelledWorld world;
  REQUIRE(world.Give(100).ok());
  ServiceBalancer next(world.cluster.cluster(), "web", LabelledWorld::Spec());
  const auto view = next.View();
  REQUIRE(view.ok());
  REQUIRE(view->members.size() == 1);
  CHECK(view->members[0].address == world.addresses[0]);
  CHECK(view->members[0].weight_percent == 100);
  ServiceBalancer other(world.cluster.cluster(), "shop", LabelledWorld::Spec());
  CHECK(other.View()->members.empty());
  REQUIRE(other.Assign({}).ok());
  CHECK(world.Label("a1") == "serving");
}

TEST_CASE("a cluster that does not answer is an error of the balancer, in time") {
  LabelledWorld world;
  world.cluster.server().SetFrozen(true);
  const absl::Duration begun = world.cluster.clock().Now().mono;
  CHECK(absl::IsUnavailable(world.Give(100)));
  CHECK(world.cluster.clock().Now().mono - begun < absl::Seconds(3));
  world.cluster.server().SetFrozen(false);
  CHECK(PollUntil(kPatience, [&] { return world.Give(100).ok(); }));
  CHECK(world.Label("a1") == "serving");
}

TEST_CASE("without a cluster every call of a Service's balancer says why") {
  ServiceBalancer balancer(absl::FailedPreconditionError("no cluster"), "web",
                           LabelledWorld::Spec());
  CHECK(absl::IsFailedPrecondition(balancer.Assign({}).status()));
  CHECK(absl::IsFailedPrecondition(balancer.View().status()));
  CHECK_FALSE(balancer.peer().empty());
}

}  // namespace
}  // namespace shadow
