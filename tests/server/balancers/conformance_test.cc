// What every Balancer keeps to; the fake and the real ones pass the same cases.
#include <catch2/catch.hpp>
#include <tuple>

#include "server/balancers/haproxy_balancer.h"
#include "server/balancers/service_balancer.h"
#include "tests/fakes/fake_balancer.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/balancer_conformance.h"
#include "tests/server/providers/kubernetes_world.h"

namespace shadow {
namespace {

struct FakeWorld {
  BalancerCase Case() {
    return {.balancer = balancer,
            .addresses = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
            .bounded = true,
            .set_healthy = [this](const std::string& address,
                                  bool healthy) { balancer.SetHealthy(address, healthy); },
            .restart = [this] { balancer.Restart(); },
            .hang = [this](bool hangs) { Hang(hangs); }};
  }
  void Hang(bool hangs) {
    const absl::Status status =
        hangs ? absl::DeadlineExceededError("no answer within 2s") : absl::OkStatus();
    for (const auto verb : {FakeBalancer::Verb::kAssign, FakeBalancer::Verb::kView}) {
      balancer.Fail(verb, status, hangs ? 1000 : 0);
    }
  }

  FakeBalancer balancer{2};
};

struct HaproxyWorld {
  v1::HaproxyBalancer Spec() const {
    v1::HaproxyBalancer spec;
    spec.set_socket_path(haproxy.socket_path());
    spec.set_backend("web");
    return spec;
  }
  BalancerCase Case() {
    return {.balancer = balancer,
            .addresses = {first.address(), second.address(), third.address()},
            .bounded = true,
            .set_healthy = [this](const std::string&, bool healthy) { first.SetHealthy(healthy); },
            .restart = [this] { haproxy.Restart(); },
            .hang = [this](bool hangs) { hangs ? haproxy.Pause() : haproxy.Continue(); }};
  }

  HttpOrigin first{"first"};
  HttpOrigin second{"second"};
  HttpOrigin third{"third"};
  HaproxyProcess haproxy{{.slots = 2}};
  SystemClock clock;
  HaproxyBalancer balancer{Spec(), clock};
};

// A Service has room for all. That it forgets nobody, and how it hangs, is tested by itself.
struct ServiceWorld {
  ServiceWorld() {
    for (const char* id : {"a1", "a2", "a3"}) {
      const InstanceSpec instance = TestInstance(id, PodDna());
      REQUIRE(cluster.provider().ApplyOne(InstanceOp::Kind::kCreate, instance).ok());
      std::string address;
      REQUIRE(PollUntil(kPatience, [&] {
        const auto seen = cluster.provider().Inspect(instance);
        if (seen.ok()) address = seen->address;
        return !address.empty();
      }));
      addresses.push_back(address);
    }
  }
  BalancerCase Case() {
    return {.balancer = balancer,
            .addresses = addresses,
            .bounded = false,
            .set_healthy = [this](const std::string&, bool ready) { SetReady(ready); },
            .restart = {},
            .hang = {}};
  }
  // The first one, as far as the watch has told.
  void SetReady(bool ready) {
    cluster.pods().SetReady(cluster.NameOf("a1"), ready);
    REQUIRE(PollUntil(kPatience, [&] {
      const auto pod = cluster.cluster()->pods().Find("a1");
      return pod.ok() && *pod != nullptr && (*pod)->ready == ready;
    }));
  }

  KubernetesWorld cluster;
  std::vector<std::string> addresses;
  ServiceBalancer balancer{cluster.cluster(), "web", ServiceLabel()};

 private:
  static v1::ServiceBalancer ServiceLabel() {
    v1::ServiceBalancer spec;
    spec.set_label("shadow.dev/role");
    spec.set_value("active");
    return spec;
  }
};

// A new balancer is one more here.
using Worlds = std::tuple<FakeWorld, HaproxyWorld, ServiceWorld>;

TEMPLATE_LIST_TEST_CASE("a balancer keeps the contract", "", Worlds) {
  TestType world;
  CheckBalancer(world.Case());
}

}  // namespace
}  // namespace shadow
