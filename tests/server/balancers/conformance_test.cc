#include <catch2/catch.hpp>

#include "server/balancers/haproxy_balancer.h"
#include "server/balancers/none_balancer.h"
#include "tests/fakes/fake_balancer.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_origin.h"
#include "tests/server/balancers/balancer_conformance.h"

namespace shadow {
namespace {

TEST_CASE("the fake balancer keeps the contract") {
  FakeBalancer balancer(2);
  CheckBalancer({.balancer = balancer,
                 .addresses = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
                 .bounded = true,
                 .set_healthy = [&](const std::string& address,
                                    bool healthy) { balancer.SetHealthy(address, healthy); },
                 .restart = [&] { balancer.Restart(); }});
}

TEST_CASE("the balancer `none` keeps the contract") {
  NoneBalancer balancer;
  CheckBalancer({.balancer = balancer,
                 .addresses = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
                 .bounded = false,
                 .set_healthy = nullptr,
                 .restart = nullptr});
}

TEST_CASE("the HAProxy balancer keeps the contract") {
  HttpOrigin first("first");
  HttpOrigin second("second");
  HttpOrigin third("third");
  HaproxyProcess haproxy({.slots = 2});
  SystemClock clock;
  v1::HaproxyBalancer spec;
  spec.set_socket_path(haproxy.socket_path());
  spec.set_backend("web");
  HaproxyBalancer balancer(spec, clock);
  CheckBalancer(
      {.balancer = balancer,
       .addresses = {first.address(), second.address(), third.address()},
       .bounded = true,
       .set_healthy = [&](const std::string&, bool healthy) { first.SetHealthy(healthy); },
       .restart = [&] { haproxy.Restart(); }});
}

}  // namespace
}  // namespace shadow
