// A frontend, a backend and a server may bear one name in HAProxy: who reads one never gets
// another.
#include <catch2/catch.hpp>

#include "server/balancers/haproxy_balancer.h"
#include "server/usage/haproxy_usage.h"
#include "tests/fakes/assigned_members.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/balancer_conformance.h"

namespace shadow {
namespace {

// Beside "front" and the backend "web": a frontend "web" that serves from the backend "other", and
// a frontend "other" that serves from "web".
std::string NamedAlike(int web_port, int other_port) {
  return "frontend web\n  bind 127.0.0.1:" + std::to_string(web_port) +
         "\n  default_backend other\n"
         "frontend other\n  bind 127.0.0.1:" +
         std::to_string(other_port) +
         "\n  default_backend web\n"
         "backend other\n  server-template slot 1-2 127.0.0.1:9 weight 100 check disabled\n";
}

struct OddSite {
  // `base`: address of a server of the backend "web" that is no slot; empty: none.
  explicit OddSite(const std::string& base = "")
      : haproxy({.base_server = base, .more = NamedAlike(web_port, other_port)}) {}

  int web_port = FreeLoopbackPort();
  int other_port = FreeLoopbackPort();
  HaproxyProcess haproxy;
  SystemClock clock;

  v1::HaproxyBalancer Backend(const std::string& name) const {
    v1::HaproxyBalancer spec;
    spec.set_socket_path(haproxy.socket_path());
    spec.set_backend(name);
    return spec;
  }
  v1::HaproxyUsage Frontend(const std::string& name) const {
    v1::HaproxyUsage spec;
    spec.set_socket_path(haproxy.socket_path());
    spec.set_frontend(name);
    return spec;
  }
};

// The rate once one is known.
double Rate(HaproxyUsage& usage) {
  double rate = -1;
  REQUIRE(PollUntil(kPatience, [&] {
    const auto reading = usage.Read("web", absl::InfinitePast());
    REQUIRE(reading.ok());
    if (!reading->samples.empty()) rate = reading->samples[0].value();
    return rate >= 0;
  }));
  return rate;
}

}  // namespace

TEST_CASE("usage of a frontend is its own arrivals, not those of the backend of that name") {
  HttpOrigin base("base");
  OddSite site(base.address());
  HttpClient client(site.other_port);  // Frontend "other", backend "web", server base1.
  HaproxyUsage web(site.Frontend("web"), site.clock);
  HaproxyUsage other(site.Frontend("other"), site.clock);
  REQUIRE(web.Read("web", absl::InfinitePast()).ok());
  REQUIRE(other.Read("web", absl::InfinitePast()).ok());
  for (int i = 0; i < 20; ++i) REQUIRE(client.Get("/"));
  CHECK(Rate(web) == 0);
  CHECK(Rate(other) > 0);
}

TEST_CASE("a backend's members and numbers are not those of the frontend of that name") {
  OddSite site;
  HttpOrigin origin("web");
  HttpOrigin stranger("other");
  HaproxyBalancer web(site.Backend("web"), site.clock);
  HaproxyBalancer other(site.Backend("other"), site.clock);
  AssignedMembers in_web(web);
  AssignedMembers in_other(other);
  REQUIRE(in_web.Add(origin.address()).ok());
  REQUIRE(in_web.SetWeight(origin.address(), 100).ok());
  REQUIRE(in_other.Add(stranger.address()).ok());
  REQUIRE(in_other.SetWeight(stranger.address(), 100).ok());
  CHECK(web.View()->members.size() == 1);
  CHECK_FALSE(FindMember(web, stranger.address()));
  CHECK_FALSE(FindMember(other, origin.address()));

  HttpClient through_web(site.web_port);
  HttpClient through_other(site.other_port);
  constexpr int kRequests = 5;
  for (int i = 0; i < kRequests; ++i) {
    CHECK(through_web.Get("/")->body == "other");
    CHECK(through_other.Get("/")->body == "web");
  }
  CHECK(through_other.Get("/")->body == "web");
  CHECK(PollUntil(kPatience, [&] {
    return FindMember(web, origin.address())->requests == kRequests + 1 &&
           FindMember(other, stranger.address())->requests == kRequests;
  }));
}

TEST_CASE("removing a member from a backend leaves the same address in another one alone") {
  OddSite site;
  HttpOrigin origin("shared");
  HaproxyBalancer web(site.Backend("web"), site.clock);
  HaproxyBalancer other(site.Backend("other"), site.clock);
  AssignedMembers in_web(web);
  AssignedMembers in_other(other);
  for (AssignedMembers* members : {&in_web, &in_other}) {
    REQUIRE(members->SetWeight(origin.address(), 100).ok());
  }
  REQUIRE(in_web.Remove(origin.address()).ok());
  CHECK_FALSE(FindMember(web, origin.address()));
  REQUIRE(FindMember(other, origin.address()));
  CHECK(FindMember(other, origin.address())->weight_percent == 100);
  CHECK(HttpClient(site.web_port).Get("/")->body == "shared");
  CHECK(HttpClient(site.other_port).Get("/")->status == 503);
}

TEST_CASE("the backend's errors are not those of the frontend of that name") {
  OddSite site;
  HttpOrigin origin("web");
  HaproxyBalancer web(site.Backend("web"), site.clock);
  AssignedMembers in_web(web);
  REQUIRE(in_web.Add(origin.address()).ok());
  REQUIRE(in_web.SetWeight(origin.address(), 100).ok());
  REQUIRE(web.View().ok());
  HttpClient client(site.web_port);  // Backend "other" has no server: 503.
  for (int i = 0; i < 10; ++i) REQUIRE(client.Get("/")->status == 503);
  std::optional<double> errors;
  REQUIRE(PollUntil(kPatience, [&] {
    errors = web.View()->errors_per_second;
    return errors.has_value();
  }));
  CHECK(*errors == 0);
}

}  // namespace shadow
