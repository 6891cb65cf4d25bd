// The HAProxy balancer where nothing flows: configuration, slots, restarts, concurrency.
#include "server/balancers/haproxy_balancer.h"

#include <catch2/catch.hpp>
#include <memory>
#include <set>

#include "server/balancers/haproxy_address.h"
#include "server/core/error.h"
#include "tests/fakes/assigned_members.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/balancer_conformance.h"

namespace shadow {
namespace {

v1::HaproxyBalancer Spec(const HaproxyProcess& haproxy, const std::string& backend,
                         const std::string& prefix) {
  v1::HaproxyBalancer spec;
  spec.set_socket_path(haproxy.socket_path());
  spec.set_backend(backend);
  spec.set_slot_prefix(prefix);
  return spec;
}

bool Mentions(const absl::Status& status, const std::string& word) {
  return std::string(status.message()).find(word) != std::string::npos;
}

// The name of the slot where `address` is; "" if it is in none.
std::string SlotOf(const HaproxyProcess& haproxy, const std::string& address) {
  const auto servers = ParseServersState(haproxy.Command({"show servers state web"}).at(0));
  for (const HaproxyServer& server : *servers) {
    if (!server.maintenance && server.address == address) return server.name;
  }
  return "";
}

TEST_CASE("member addresses are accepted in HAProxy's own spelling only") {
  for (const char* good : {"127.0.0.1:1", "10.0.0.255:65535", "[::1]:80", "[2001:db8::5]:8080"}) {
    INFO(good);
    CHECK(CheckMemberAddress(good).ok());
  }
  for (const char* bad :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:080",
        "127.0.0.1:+8", "127.0.0.01:80", "localhost:80", "::1:80", "[::1]", "[::0001]:80",
        "[127.0.0.1]:80", "127.0.0.1:80;shutdown frontend f", "127.0.0.1 :80", "127.0.0.1:80\n"}) {
    INFO(bad);
    CHECK(CheckMemberAddress(bad).code() == absl::StatusCode::kInvalidArgument);
    CHECK(ErrorField(CheckMemberAddress(bad)) == "address");
  }
}

TEST_CASE("names that could be commands are refused before anything is sent") {
  SystemClock clock;
  for (const char* name : {"web;quit", "web quit", "web\nquit", "web/slot1", "", "w\\eb"}) {
    v1::HaproxyBalancer spec;
    spec.set_socket_path("/nonexistent");
    spec.set_backend(name);
    CHECK(HaproxyBalancer(spec, clock).View().status().code() ==
          absl::StatusCode::kInvalidArgument);
    if (*name == '\0') continue;  // The default prefix.
    spec.set_backend("web");
    spec.set_slot_prefix(name);
    CHECK(HaproxyBalancer(spec, clock).Assign({}).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("without HAProxy everything is unavailable and names the socket") {
  SystemClock clock;
  v1::HaproxyBalancer spec;
  spec.set_socket_path("/nonexistent/haproxy.sock");
  spec.set_backend("web");
  HaproxyBalancer balancer(spec, clock);
  AssignedMembers members(balancer);
  const std::string address = "127.0.0.1:1";
  for (const absl::Status& status :
       {members.Add(address), members.SetWeight(address, 10), members.Drain(address),
        members.Remove(address), balancer.View().status()}) {
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK(Mentions(status, "/nonexistent/haproxy.sock"));
  }
}

TEST_CASE("what HAProxy's configuration lacks is a failed precondition that names it") {
  SystemClock clock;
  SECTION("the backend") {
    HaproxyProcess haproxy;
    HaproxyBalancer balancer(Spec(haproxy, "shop", ""), clock);
    AssignedMembers members(balancer);
    CHECK(balancer.View().status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Mentions(members.Add("127.0.0.1:1"), "\"shop\""));
    CHECK(members.SetWeight("127.0.0.1:1", 1).code() == absl::StatusCode::kFailedPrecondition);
  }
  SECTION("the slots") {
    HaproxyProcess haproxy;
    HaproxyBalancer balancer(Spec(haproxy, "web", "place"), clock);
    AssignedMembers members(balancer);
    CHECK(members.Add("127.0.0.1:1").code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Mentions(balancer.View().status(), "\"place\""));
  }
  SECTION("the health check") {
    HaproxyProcess haproxy({.check = ""});
    HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
    AssignedMembers members(balancer);
    const absl::Status status = members.Add("127.0.0.1:1");
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Mentions(status, "`check`"));
    CHECK(balancer.View()->members.empty());
  }
  SECTION("the right to change anything") {
    HaproxyProcess haproxy({.level = "operator"});
    HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
    AssignedMembers members(balancer);
    const absl::Status status = members.Add("127.0.0.1:1");
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Mentions(status, "Permission denied"));
  }
  SECTION("an algorithm with weights") {
    HttpOrigin origin("shadow");
    HaproxyProcess haproxy({.balance = "static-rr"});
    HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
    AssignedMembers members(balancer);
    REQUIRE(members.Add(origin.address()).ok());
    const absl::Status status = members.SetWeight(origin.address(), 10);
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Mentions(status, "static LB algorithm"));
    CHECK(FindMember(balancer, origin.address())->weight_percent == 0);
  }
}

TEST_CASE("slots are used in turn, the one whose last use is longest ago first") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy({.slots = 3});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  std::vector<std::string> used;
  for (int i = 0; i < 6; ++i) {
    REQUIRE(members.Add(origin.address()).ok());
    used.push_back(SlotOf(haproxy, origin.address()));
    REQUIRE(members.Remove(origin.address()).ok());
  }
  CHECK(std::set<std::string>(used.begin(), used.begin() + 3).size() == 3);
  CHECK(std::vector<std::string>(used.begin(), used.begin() + 3) ==
        std::vector<std::string>(used.begin() + 3, used.end()));
}

TEST_CASE("a removed member's slot is as it was in the configuration") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy({.slots = 1});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  REQUIRE(members.Add(origin.address()).ok());
  REQUIRE(members.SetWeight(origin.address(), 100).ok());
  HttpClient client(haproxy.frontend_port());
  REQUIRE(client.Get("/")->body == "shadow");
  REQUIRE(members.Remove(origin.address()).ok());
  const auto replies = haproxy.Command({"show servers state web", "show servers conn web"});
  const HaproxyServer slot = ParseServersState(replies.at(0))->at(0);
  CHECK(slot.maintenance);
  CHECK(slot.address == "127.0.0.1:9");
  CHECK(slot.weight == 0);
  CHECK(ParseServersConn(replies.at(1))->at("slot1").used == 0);
  CHECK(ParseServersConn(replies.at(1))->at("slot1").idle == 0);
}

TEST_CASE("a removal that was cut off is finished by the next call") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy({.slots = 1});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  REQUIRE(members.Add(origin.address()).ok());
  REQUIRE(haproxy.Command({"set server web/slot1 state maint"}).at(0).empty());
  CHECK(balancer.View()->members.empty());
  REQUIRE(members.Remove(origin.address()).ok());
  CHECK(ParseServersState(haproxy.Command({"show servers state web"}).at(0))->at(0).address ==
        "127.0.0.1:9");
}

TEST_CASE("a daemon that starts anew finds the members and counts from there") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy;
  HttpClient client(haproxy.frontend_port());
  {
    HaproxyBalancer before(Spec(haproxy, "web", ""), clock);
    AssignedMembers members(before);
    REQUIRE(members.Add(origin.address()).ok());
    REQUIRE(members.SetWeight(origin.address(), 40).ok());
    for (int i = 0; i < 5; ++i) REQUIRE(client.Get("/"));
    REQUIRE(
        PollUntil(kPatience, [&] { return FindMember(before, origin.address())->requests == 5; }));
  }
  HaproxyBalancer after(Spec(haproxy, "web", ""), clock);
  REQUIRE(FindMember(after, origin.address()));
  CHECK(FindMember(after, origin.address())->weight_percent == 40);
  CHECK(FindMember(after, origin.address())->requests == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(client.Get("/"));
  CHECK(PollUntil(kPatience, [&] { return FindMember(after, origin.address())->requests == 3; }));
}

// `members` of them, at weight 50.
std::vector<Assignment> Half(const std::vector<std::unique_ptr<HttpOrigin>>& members) {
  std::vector<Assignment> all;
  for (const auto& member : members) {
    all.push_back({.id = "i" + std::to_string(all.size()),
                   .address = member->address(),
                   .weight_percent = 50});
  }
  return all;
}

TEST_CASE("members that come and go together get slots of their own") {
  SystemClock clock;
  constexpr size_t kMembers = 6;
  HaproxyProcess haproxy({.slots = kMembers});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  std::vector<std::unique_ptr<HttpOrigin>> origins;
  for (size_t i = 0; i < kMembers; ++i) origins.push_back(std::make_unique<HttpOrigin>("shadow"));
  const std::vector<Assignment> all = Half(origins);
  for (int round = 0; round < 5; ++round) {
    REQUIRE(balancer.Assign({})->left.empty());
    CHECK(balancer.View()->members.empty());
    const auto result = balancer.Assign(all);
    REQUIRE(result.ok());
    for (const absl::Status& status : result->assigned) CHECK(status.ok());
    CHECK(balancer.View()->members.size() == kMembers);
  }
  for (const Assignment& one : all) {
    const auto member = FindMember(balancer, one.address);
    REQUIRE(member);
    CHECK(member->id == one.id);
    CHECK(member->weight_percent == 50);
  }
}

TEST_CASE("who enters takes the slot of who goes in the same call") {
  SystemClock clock;
  HttpOrigin old_origin("old");
  HttpOrigin new_origin("new");
  HaproxyProcess haproxy({.slots = 1});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  REQUIRE(members.SetWeight(old_origin.address(), 100).ok());
  const std::vector<Assignment> next = {
      {.id = "i2", .address = new_origin.address(), .weight_percent = 100}};
  const auto result = balancer.Assign(next);
  REQUIRE(result.ok());
  CHECK(result->assigned[0].ok());
  CHECK(result->left.empty());
  CHECK_FALSE(FindMember(balancer, old_origin.address()));
  HttpClient client(haproxy.frontend_port());
  CHECK(client.Get("/")->body == "new");
}

TEST_CASE("what is as it should be is left alone") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy;
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  REQUIRE(members.SetWeight(origin.address(), 100).ok());
  const std::string slot = SlotOf(haproxy, origin.address());
  for (int i = 0; i < 3; ++i) REQUIRE(members.SetWeight(origin.address(), 100).ok());
  CHECK(SlotOf(haproxy, origin.address()) == slot);
}

TEST_CASE("response times are those of the member, not of who had its slot before") {
  SystemClock clock;
  HttpOrigin slow("slow");
  HttpOrigin fast("fast");
  HaproxyProcess haproxy({.slots = 1});
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  const auto serve = [&](const HttpOrigin& origin, int64_t requests) {
    REQUIRE(members.Add(origin.address()).ok());
    REQUIRE(members.SetWeight(origin.address(), 100).ok());
    HttpLoad load({.port = haproxy.frontend_port(), .clients = 16});
    REQUIRE(PollUntil(kPatience, [&] { return load.answered() >= requests; }));
    load.Stop();
    const auto member = FindMember(balancer, origin.address());
    REQUIRE(member);
    REQUIRE(member->response_time_ms);
    REQUIRE(members.Remove(origin.address()).ok());
    return *member->response_time_ms;
  };
  // More than HAProxy's window of 512, so that the second starts in a full one.
  slow.SetDelay(absl::Milliseconds(40));
  CHECK(serve(slow, 700) == Approx(43).margin(8));
  CHECK(serve(fast, 700) == Approx(2).margin(6));
  CHECK(serve(slow, 200) == Approx(43).margin(12));
}

TEST_CASE("the backend's rates are unset at first and then follow the traffic") {
  SystemClock clock;
  HttpOrigin origin("shadow");
  HaproxyProcess haproxy;
  HaproxyBalancer balancer(Spec(haproxy, "web", ""), clock);
  AssignedMembers members(balancer);
  REQUIRE(members.Add(origin.address()).ok());
  REQUIRE(members.SetWeight(origin.address(), 100).ok());
  const BalancerView first = *balancer.View();
  CHECK_FALSE(first.errors_per_second);
  CHECK_FALSE(first.response_time_ms);
  CHECK(first.queued_requests == 0.0);

  origin.SetStatus(501);
  origin.SetDelay(absl::Milliseconds(20));
  const absl::Duration begin = clock.Now().mono;
  HttpLoad load({.port = haproxy.frontend_port(), .clients = 2});
  std::optional<double> errors;
  REQUIRE(PollUntil(kPatience, [&] {
    errors = balancer.View()->errors_per_second;
    return errors && *errors > 0;
  }));
  const double seconds = absl::ToDoubleSeconds(clock.Now().mono - begin);
  CHECK(*errors <= static_cast<double>(load.failed() + 2) / std::min(seconds, 1.0));
  CHECK(*errors >= 5);
  REQUIRE(PollUntil(kPatience, [&] { return balancer.View()->response_time_ms.has_value(); }));
  load.Stop();
  // What was in flight is answered, and counted, a moment after its client has gone.
  CHECK(PollUntil(kPatience, [&] { return !balancer.View()->response_time_ms; }));
}

}  // namespace
}  // namespace shadow
