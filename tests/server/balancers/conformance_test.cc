// What every Balancer keeps to; the fake and the real ones pass the same cases.
#include <catch2/catch.hpp>
#include <tuple>

#include "server/balancers/haproxy_balancer.h"
#include "tests/fakes/fake_balancer.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_origin.h"
#include "tests/server/balancers/balancer_conformance.h"

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

// A new balancer is one more here.
using Worlds = std::tuple<FakeWorld, HaproxyWorld>;

TEMPLATE_LIST_TEST_CASE("a balancer keeps the contract", "", Worlds) {
  TestType world;
  CheckBalancer(world.Case());
}

}  // namespace
}  // namespace shadow
