// The HAProxy balancer under traffic: what users see, and what each member is counted for.
#include <catch2/catch.hpp>

#include "server/balancers/haproxy_balancer.h"
#include "tests/fakes/assigned_members.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/balancer_conformance.h"

namespace shadow {
namespace {

// With `on-marked-down`, HAProxy itself breaks off what is in flight when a slot goes into
// maintenance.
constexpr const char* kWithout = "check inter 500ms fall 2 rise 2";
constexpr const char* kWithShutdown =
    "check inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions";

// A base server that is not ours, and a balancer for the slots beside it.
struct Site {
  explicit Site(int slots) : Site(HaproxyProcess::Options{.slots = slots}) {}
  explicit Site(HaproxyProcess::Options options)
      : base("base"), haproxy(WithBase(std::move(options))), balancer(Spec(), clock) {}

  HaproxyProcess::Options WithBase(HaproxyProcess::Options options) const {
    options.base_server = base.address();
    return options;
  }
  v1::HaproxyBalancer Spec() const {
    v1::HaproxyBalancer spec;
    spec.set_socket_path(haproxy.socket_path());
    spec.set_backend("web");
    return spec;
  }
  HttpLoad::Options Load(int clients) const {
    return {
        .port = haproxy.frontend_port(), .clients = clients, .requests_per_second = 0, .path = "/"};
  }
  BalancerMember Member(const std::string& address) {
    const auto member = FindMember(balancer, address);
    REQUIRE(member);
    return *member;
  }

  HttpOrigin base;
  HaproxyProcess haproxy;
  SystemClock clock;
  HaproxyBalancer balancer;
  AssignedMembers members{balancer};
};

// Waits for `count` more answers.
void AwaitAnswers(const HttpLoad& load, int64_t count) {
  const int64_t before = load.answered();
  REQUIRE(PollUntil(kPatience, [&] { return load.answered() >= before + count; }));
}

TEST_CASE("no request reaches a member before it has a weight") {
  Site site(2);
  HttpOrigin origin("shadow");
  HttpLoad load(site.Load(8));
  AwaitAnswers(load, 50);
  REQUIRE(site.members.Add(origin.address()).ok());
  CHECK(site.Member(origin.address()).healthy);
  AwaitAnswers(load, 500);
  CHECK(origin.requests() == 0);
  REQUIRE(site.members.SetWeight(origin.address(), 100).ok());
  REQUIRE(PollUntil(kPatience, [&] { return origin.requests() > 0; }));
  CHECK(load.Stop().failed == 0);
}

TEST_CASE("the share of a canary follows its weight") {
  Site site(2);
  HttpOrigin origin("shadow");
  REQUIRE(site.members.Add(origin.address()).ok());
  REQUIRE(site.members.SetWeight(origin.address(), 10).ok());
  HttpLoad load(site.Load(4));
  AwaitAnswers(load, 1100);
  const HttpLoad::Result result = load.Stop();
  // 10 of 110 parts.
  const double share =
      static_cast<double>(result.by_body.at("shadow")) / static_cast<double>(result.ok);
  CHECK(share == Approx(10.0 / 110.0).margin(0.02));
}

TEST_CASE("thirty whole cycles of two members under load fail no request") {
  Site site(2);
  HttpOrigin first("first");
  HttpOrigin second("second");
  HttpLoad load(site.Load(8));
  AwaitAnswers(load, 50);
  for (int cycle = 0; cycle < 30; ++cycle) {
    HttpOrigin& origin = cycle % 2 == 0 ? first : second;
    const std::string address = origin.address();
    INFO("cycle " << cycle);
    REQUIRE(site.members.Add(address).ok());
    REQUIRE(site.members.SetWeight(address, 10).ok());
    REQUIRE(site.members.SetWeight(address, 100).ok());
    REQUIRE(PollUntil(kPatience, [&] { return site.Member(address).requests >= 20; }));
    REQUIRE(site.members.Drain(address).ok());
    REQUIRE(PollUntil(kPatience, [&] { return site.Member(address).in_flight == 0; }));
    const absl::Status removed = site.members.Remove(address);
    INFO(removed);
    REQUIRE(removed.ok());
    const int64_t requests = origin.requests();
    AwaitAnswers(load, 30);
    REQUIRE(origin.requests() == requests);
  }
  const HttpLoad::Result result = load.Stop();
  CHECK(result.failed == 0);
  CHECK(result.reconnects == 0);
  CHECK(result.by_body.at("first") > 0);
  CHECK(result.by_body.at("second") > 0);
}

TEST_CASE("a slot that gets a new address sends nothing to the old one, whatever was in flight") {
  Site site(HaproxyProcess::Options{.slots = 1, .check = GENERATE(kWithShutdown, kWithout)});
  HttpOrigin old_origin("old");
  HttpOrigin new_origin("new");
  HttpLoad load(site.Load(16));
  for (int cycle = 0; cycle < 10; ++cycle) {
    INFO("cycle " << cycle);
    old_origin.SetDelay(absl::Milliseconds(30));
    REQUIRE(site.members.Add(old_origin.address()).ok());
    REQUIRE(site.members.SetWeight(old_origin.address(), 100).ok());
    REQUIRE(PollUntil(kPatience, [&] { return site.Member(old_origin.address()).in_flight > 0; }));
    // Not drained: in flight are broken off, and their GETs go to the base.
    REQUIRE(site.members.Remove(old_origin.address()).ok());
    REQUIRE(site.members.Add(new_origin.address()).ok());
    REQUIRE(site.members.SetWeight(new_origin.address(), 100).ok());
    // What was under way to the old one has arrived once it answers us, and all of it is closed: a
    // connection kept for the slot would stay open.
    REQUIRE(HttpClient(old_origin.port()).Get("/health"));
    REQUIRE(PollUntil(kPatience, [&] { return old_origin.connections() == 0; }));
    const int64_t old_requests = old_origin.requests();
    const int64_t new_requests = new_origin.requests();
    REQUIRE(PollUntil(kPatience, [&] { return new_origin.requests() > new_requests + 50; }));
    REQUIRE(old_origin.requests() == old_requests);
    REQUIRE(site.members.Remove(new_origin.address()).ok());
  }
  CHECK(load.Stop().failed == 0);
}

TEST_CASE("a member that hangs can be removed at once, and its GETs are answered elsewhere") {
  Site site(HaproxyProcess::Options{.slots = 1, .check = GENERATE(kWithShutdown, kWithout)});
  HttpOrigin origin("shadow");
  REQUIRE(site.members.Add(origin.address()).ok());
  REQUIRE(site.members.SetWeight(origin.address(), 100).ok());
  HttpLoad load(site.Load(4));
  AwaitAnswers(load, 20);
  // Too short for two failed health checks.
  origin.SetFrozen(true);
  REQUIRE(PollUntil(kPatience, [&] { return site.Member(origin.address()).in_flight == 4; }));
  const absl::Status removed = site.members.Remove(origin.address());
  INFO(removed);
  REQUIRE(removed.ok());
  AwaitAnswers(load, 100);
  origin.SetFrozen(false);
  const HttpLoad::Result result = load.Stop();
  CHECK(result.failed == 0);
  CHECK(result.LatencyMs(1) < 2000);
}

TEST_CASE("members and other servers are never mixed up") {
  Site site(2);
  CHECK_FALSE(FindMember(site.balancer, site.base.address()));
  CHECK(site.members.Remove(site.base.address()).ok());
  CHECK(site.members.Drain(site.base.address()).ok());
  CHECK(site.members.Remove("127.0.0.1:9").ok());
  HttpClient client(site.haproxy.frontend_port());
  const auto reply = client.Get("/");
  REQUIRE(reply);
  CHECK(reply->body == "base");
}

TEST_CASE("every way to fail is counted as that member's error, and no user sees it") {
  Site site(HaproxyProcess::Options{.slots = 2, .server_timeout = "1s"});
  HttpOrigin origin("shadow");
  const std::string address = origin.address();
  REQUIRE(site.members.Add(address).ok());
  HttpLoad load(site.Load(4));
  SECTION("a 500 that is retried elsewhere") { origin.SetStatus(500); }
  SECTION("a 503 that is retried elsewhere") { origin.SetStatus(503); }
  SECTION("a connection that is closed instead of an answer") { origin.SetHangUp(true); }
  SECTION("an answer that does not come in time") { origin.SetDelay(absl::Seconds(3)); }
  SECTION("a connection that is refused") { origin.Stop(); }
  site.members.SetWeight(address, 10).IgnoreError();
  REQUIRE(PollUntil(kPatience, [&] { return site.Member(address).errors >= 1; }));
  const BalancerMember member = site.Member(address);
  CHECK(member.requests >= member.errors);
  CHECK(load.Stop().failed == 0);
}

TEST_CASE("as many errors are counted as there were failed answers") {
  Site site(2);
  HttpOrigin origin("shadow");
  const std::string address = origin.address();
  REQUIRE(site.members.Add(address).ok());
  REQUIRE(site.members.SetWeight(address, 100).ok());
  int passed_on = 0;
  SECTION("retried ones") { origin.SetStatus(500); }
  SECTION("ones that are passed on") {
    origin.SetStatus(501);
    passed_on = 10;
  }
  HttpClient client(site.haproxy.frontend_port());
  int failed = 0;
  while (origin.requests() < 10) {
    const auto reply = client.Get("/");
    REQUIRE(reply);
    failed += reply->status >= 500 ? 1 : 0;
  }
  CHECK(failed == passed_on);
  REQUIRE(PollUntil(kPatience, [&] { return site.Member(address).in_flight == 0; }));
  CHECK(site.Member(address).requests == 10);
  CHECK(site.Member(address).errors == 10);
}

TEST_CASE("a killed, frozen or failing member fails no user GET") {
  Site site(2);
  HttpOrigin origin("shadow");
  REQUIRE(site.members.Add(origin.address()).ok());
  REQUIRE(site.members.SetWeight(origin.address(), 100).ok());
  HttpLoad load(site.Load(8));
  REQUIRE(PollUntil(kPatience, [&] { return site.Member(origin.address()).requests > 20; }));
  SECTION("killed") { origin.Stop(); }
  SECTION("frozen") { origin.SetFrozen(true); }
  SECTION("failing, its health check too") {
    origin.SetStatus(500);
    origin.SetHealthy(false);
  }
  REQUIRE(PollUntil(kPatience, [&] { return !site.Member(origin.address()).healthy; }));
  AwaitAnswers(load, 100);
  REQUIRE(site.members.Remove(origin.address()).ok());
  AwaitAnswers(load, 100);
  origin.SetFrozen(false);
  CHECK(load.Stop().failed == 0);
}

TEST_CASE("a reload under load drops members, which come back, and fails no request") {
  Site site(2);
  HttpOrigin origin("shadow");
  REQUIRE(site.members.Add(origin.address()).ok());
  REQUIRE(site.members.SetWeight(origin.address(), 100).ok());
  HttpLoad load(site.Load(4));
  AwaitAnswers(load, 50);
  site.haproxy.Reload();
  CHECK_FALSE(FindMember(site.balancer, origin.address()));
  REQUIRE(site.members.Add(origin.address()).ok());
  REQUIRE(site.members.SetWeight(origin.address(), 100).ok());
  REQUIRE(PollUntil(kPatience, [&] { return site.Member(origin.address()).requests > 20; }));
  CHECK(load.Stop().failed == 0);
}

}  // namespace
}  // namespace shadow
