#include "tests/server/balancers/balancer_conformance.h"

#include "tests/fakes/poll.h"

namespace shadow {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

void CheckWeights(const BalancerCase& subject) {
  Balancer& balancer = subject.balancer;
  const std::string& a = subject.addresses[0];
  const std::string& b = subject.addresses[1];

  SECTION("a new member has weight 0 and no history") {
    REQUIRE(balancer.Add(a).ok());
    const auto member = FindMember(balancer, a);
    REQUIRE(member);
    CHECK(member->weight_percent == 0);
    CHECK(member->healthy);
    CHECK_FALSE(member->draining);
    CHECK(member->in_flight.value_or(0) == 0);
    CHECK(member->requests.value_or(0) == 0);
    CHECK(member->errors.value_or(0) == 0);
    CHECK_FALSE(member->response_time_ms);
    CHECK_FALSE(FindMember(balancer, b));
  }
  SECTION("a weight is kept, also when the member is added again") {
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.Add(b).ok());
    REQUIRE(balancer.SetWeight(a, 10).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 10);
    CHECK(FindMember(balancer, b)->weight_percent == 0);
    REQUIRE(balancer.SetWeight(a, 100).ok());
    REQUIRE(balancer.SetWeight(a, 100).ok());
    REQUIRE(balancer.Add(a).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 100);
    CHECK(balancer.List()->members.size() == 2);
  }
  SECTION("a weight outside 1 to 100 is refused and changes nothing") {
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.SetWeight(a, 1).ok());
    for (const int weight : {-1, 0, 101, 1000}) {
      CHECK(balancer.SetWeight(a, weight).code() == absl::StatusCode::kInvalidArgument);
    }
    CHECK(FindMember(balancer, a)->weight_percent == 1);
  }
  SECTION("a weight for who was not added is not found") {
    CHECK(balancer.SetWeight(a, 10).code() == absl::StatusCode::kNotFound);
    CHECK(balancer.List()->members.empty());
  }
}

void CheckLeaving(const BalancerCase& subject) {
  Balancer& balancer = subject.balancer;
  const std::string& a = subject.addresses[0];
  const std::string& b = subject.addresses[1];

  SECTION("draining takes the weight, and a weight ends the draining") {
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.SetWeight(a, 100).ok());
    REQUIRE(balancer.Drain(a).ok());
    REQUIRE(balancer.Drain(a).ok());
    CHECK(FindMember(balancer, a)->draining);
    CHECK(FindMember(balancer, a)->weight_percent == 0);
    REQUIRE(balancer.SetWeight(a, 50).ok());
    CHECK_FALSE(FindMember(balancer, a)->draining);
    CHECK(FindMember(balancer, a)->weight_percent == 50);
  }
  SECTION("who was removed is gone and can come back") {
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.Add(b).ok());
    REQUIRE(balancer.SetWeight(a, 100).ok());
    REQUIRE(balancer.SetWeight(b, 30).ok());
    REQUIRE(balancer.Remove(a).ok());
    REQUIRE(balancer.Remove(a).ok());
    CHECK_FALSE(FindMember(balancer, a));
    CHECK(FindMember(balancer, b)->weight_percent == 30);
    CHECK(balancer.SetWeight(a, 10).code() == absl::StatusCode::kNotFound);
    REQUIRE(balancer.Add(a).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 0);
  }
  SECTION("draining and removing who is not there is fine") {
    CHECK(balancer.Drain(a).ok());
    CHECK(balancer.Remove(a).ok());
    CHECK(balancer.List()->members.empty());
  }
  SECTION("the epoch stays while nothing restarts") {
    const std::string epoch = balancer.List()->epoch;
    REQUIRE(balancer.Add(a).ok());
    CHECK(balancer.List()->epoch == epoch);
    CHECK_FALSE(epoch.empty());
  }
}

void CheckBounds(const BalancerCase& subject) {
  if (!subject.bounded) return;
  Balancer& balancer = subject.balancer;
  SECTION("without room for one more it says so, until one is removed") {
    REQUIRE(balancer.Add(subject.addresses[0]).ok());
    REQUIRE(balancer.Add(subject.addresses[1]).ok());
    CHECK(balancer.Add(subject.addresses[2]).code() == absl::StatusCode::kResourceExhausted);
    REQUIRE(balancer.Add(subject.addresses[1]).ok());
    REQUIRE(balancer.Remove(subject.addresses[0]).ok());
    CHECK(balancer.Add(subject.addresses[2]).ok());
  }
}

void CheckHealth(const BalancerCase& subject) {
  if (!subject.set_healthy) return;
  Balancer& balancer = subject.balancer;
  const std::string& a = subject.addresses[0];
  SECTION("an unhealthy member gets no weight until it is healthy again") {
    REQUIRE(balancer.Add(a).ok());
    subject.set_healthy(a, false);
    REQUIRE(PollUntil(kPatience, [&] { return !FindMember(balancer, a)->healthy; }));
    CHECK(balancer.SetWeight(a, 10).code() == absl::StatusCode::kUnavailable);
    CHECK(FindMember(balancer, a)->weight_percent == 0);
    subject.set_healthy(a, true);
    REQUIRE(PollUntil(kPatience, [&] { return FindMember(balancer, a)->healthy; }));
    CHECK(balancer.SetWeight(a, 10).ok());
  }
  SECTION("adding an unhealthy member again declares it healthy, at once") {
    REQUIRE(balancer.Add(a).ok());
    subject.set_healthy(a, false);
    REQUIRE(PollUntil(kPatience, [&] { return !FindMember(balancer, a)->healthy; }));
    subject.set_healthy(a, true);
    REQUIRE(balancer.Add(a).ok());
    CHECK(FindMember(balancer, a)->healthy);
  }
}

void CheckRestart(const BalancerCase& subject) {
  if (!subject.restart) return;
  Balancer& balancer = subject.balancer;
  const std::string& a = subject.addresses[0];
  SECTION("a restart is seen by the epoch, and every verb stays idempotent") {
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.SetWeight(a, 100).ok());
    const std::string before = balancer.List()->epoch;
    subject.restart();
    CHECK(balancer.List()->epoch != before);
    CHECK(balancer.List()->members.empty());
    CHECK(balancer.SetWeight(a, 10).code() == absl::StatusCode::kNotFound);
    CHECK(balancer.Drain(a).ok());
    CHECK(balancer.Remove(a).ok());
    REQUIRE(balancer.Add(a).ok());
    REQUIRE(balancer.SetWeight(a, 100).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 100);
  }
}

}  // namespace

std::optional<BalancerMember> FindMember(Balancer& balancer, const std::string& address) {
  const absl::StatusOr<BalancerView> view = balancer.List();
  INFO(view.status().ToString());
  REQUIRE(view.ok());
  for (const BalancerMember& member : view->members) {
    if (member.address == address) return member;
  }
  return std::nullopt;
}

void CheckBalancer(const BalancerCase& subject) {
  CheckWeights(subject);
  CheckLeaving(subject);
  CheckBounds(subject);
  CheckHealth(subject);
  CheckRestart(subject);
}

}  // namespace shadow
