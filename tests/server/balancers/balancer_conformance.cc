#include "tests/server/balancers/balancer_conformance.h"

#include "tests/fakes/assigned_members.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

void CheckWeights(const BalancerCase& subject) {
  Balancer& balancer = subject.balancer;
  AssignedMembers members(balancer);
  const std::string& a = subject.addresses[0];
  const std::string& b = subject.addresses[1];

  SECTION("a new member has weight 0 and no history") {
    REQUIRE(members.Add(a).ok());
    const auto member = FindMember(balancer, a);
    REQUIRE(member);
    CHECK(member->id == a);
    CHECK(member->weight_percent == 0);
    CHECK(member->healthy);
    CHECK_FALSE(member->draining);
    CHECK(member->in_flight.value_or(0) == 0);
    CHECK(member->requests.value_or(0) == 0);
    CHECK(member->errors.value_or(0) == 0);
    CHECK_FALSE(member->response_time_ms);
    CHECK_FALSE(FindMember(balancer, b));
  }
  SECTION("a weight is kept while others come and change") {
    REQUIRE(members.SetWeight(a, 10).ok());
    REQUIRE(members.Add(b).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 10);
    CHECK(FindMember(balancer, b)->weight_percent == 0);
    REQUIRE(members.SetWeight(a, 100).ok());
    REQUIRE(members.SetWeight(a, 100).ok());
    REQUIRE(members.SetWeight(b, 1).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 100);
    CHECK(FindMember(balancer, b)->weight_percent == 1);
    CHECK(balancer.View()->members.size() == 2);
    REQUIRE(members.SetWeight(a, 0).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 0);
  }
  SECTION("a weight outside 0 to 100 is refused, and the others have theirs") {
    for (const int weight : {-1, 101, 1000}) {
      const std::vector<Assignment> assignments = {
          {.id = "i1", .address = a, .weight_percent = weight},
          {.id = "i2", .address = b, .weight_percent = 20}};
      const auto result = balancer.Assign(assignments);
      REQUIRE(result.ok());
      CHECK(result->assigned[0].code() == absl::StatusCode::kInvalidArgument);
      CHECK(result->assigned[1].ok());
      CHECK(FindMember(balancer, b)->weight_percent == 20);
    }
  }
  SECTION("members are known by the id that was told last") {
    for (const char* id : {"i1", "i2"}) {
      const std::vector<Assignment> assignments = {{.id = id, .address = a}};
      REQUIRE(balancer.Assign(assignments)->assigned[0].ok());
      CHECK(FindMember(balancer, a)->id == id);
    }
  }
}

void CheckLeaving(const BalancerCase& subject) {
  Balancer& balancer = subject.balancer;
  AssignedMembers members(balancer);
  const std::string& a = subject.addresses[0];
  const std::string& b = subject.addresses[1];

  SECTION("draining takes the weight, and a weight ends the draining") {
    REQUIRE(members.SetWeight(a, 100).ok());
    REQUIRE(members.Drain(a).ok());
    REQUIRE(members.Drain(a).ok());
    CHECK(FindMember(balancer, a)->draining);
    CHECK(FindMember(balancer, a)->weight_percent == 0);
    REQUIRE(members.SetWeight(a, 50).ok());
    CHECK_FALSE(FindMember(balancer, a)->draining);
    CHECK(FindMember(balancer, a)->weight_percent == 50);
  }
  SECTION("who is not named is gone and can come back") {
    REQUIRE(members.SetWeight(a, 100).ok());
    REQUIRE(members.SetWeight(b, 30).ok());
    REQUIRE(members.Remove(a).ok());
    REQUIRE(members.Remove(a).ok());
    CHECK_FALSE(FindMember(balancer, a));
    CHECK(FindMember(balancer, b)->weight_percent == 30);
    REQUIRE(members.Add(a).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 0);
    REQUIRE(balancer.Assign({}).ok());
    CHECK(balancer.View()->members.empty());
  }
  SECTION("nobody is brought in to be drained") {
    CHECK(members.Drain(a).ok());
    CHECK(balancer.View()->members.empty());
  }
}

void CheckBounds(const BalancerCase& subject) {
  if (!subject.bounded) return;
  AssignedMembers members(subject.balancer);
  SECTION("without room for one more it says so, until one is removed") {
    REQUIRE(members.Add(subject.addresses[0]).ok());
    REQUIRE(members.Add(subject.addresses[1]).ok());
    CHECK(members.Add(subject.addresses[2]).code() == absl::StatusCode::kResourceExhausted);
    CHECK(members.Tell(subject.addresses[1]).ok());
    REQUIRE(members.Remove(subject.addresses[0]).ok());
    CHECK(members.Tell(subject.addresses[2]).ok());
    CHECK(FindMember(subject.balancer, subject.addresses[2]));
  }
}

void CheckHealth(const BalancerCase& subject) {
  if (!subject.set_healthy) return;
  Balancer& balancer = subject.balancer;
  AssignedMembers members(balancer);
  const std::string& a = subject.addresses[0];
  SECTION("an unhealthy member gets no weight until it is healthy again") {
    REQUIRE(members.Add(a).ok());
    subject.set_healthy(a, false);
    REQUIRE(PollUntil(kPatience, [&] { return !FindMember(balancer, a)->healthy; }));
    CHECK(members.SetWeight(a, 10).code() == absl::StatusCode::kUnavailable);
    CHECK(FindMember(balancer, a)->weight_percent == 0);
    subject.set_healthy(a, true);
    REQUIRE(PollUntil(kPatience, [&] { return FindMember(balancer, a)->healthy; }));
    CHECK(members.SetWeight(a, 10).ok());
  }
  SECTION("an unhealthy member whose ready check has passed is declared healthy, at once") {
    REQUIRE(members.Add(a).ok());
    subject.set_healthy(a, false);
    REQUIRE(PollUntil(kPatience, [&] { return !FindMember(balancer, a)->healthy; }));
    subject.set_healthy(a, true);
    REQUIRE(members.Add(a).ok());
    CHECK(FindMember(balancer, a)->healthy);
  }
}

void CheckRestart(const BalancerCase& subject) {
  if (!subject.restart) return;
  Balancer& balancer = subject.balancer;
  AssignedMembers members(balancer);
  const std::string& a = subject.addresses[0];
  SECTION("a restart forgets everybody, and the next call brings everybody back") {
    REQUIRE(members.SetWeight(a, 100).ok());
    subject.restart();
    CHECK(balancer.View()->members.empty());
    REQUIRE(members.Tell(a).ok());
    CHECK(FindMember(balancer, a)->weight_percent == 100);
  }
}

void CheckHanging(const BalancerCase& subject) {
  if (!subject.hang) return;
  Balancer& balancer = subject.balancer;
  AssignedMembers members(balancer);
  const std::string& a = subject.addresses[0];
  SECTION("a balancer that hangs is an error, until it answers again") {
    REQUIRE(members.SetWeight(a, 100).ok());
    subject.hang(true);
    const absl::Status assigned = members.SetWeight(a, 50);
    const absl::Status viewed = balancer.View().status();
    subject.hang(false);
    CHECK(absl::IsDeadlineExceeded(assigned));
    CHECK(absl::IsDeadlineExceeded(viewed));
    CHECK(PollUntil(kPatience, [&] { return members.Tell(a).ok(); }));
    CHECK(FindMember(balancer, a)->weight_percent == 50);
  }
}

}  // namespace

std::optional<BalancerMember> FindMember(Balancer& balancer, const std::string& address) {
  const absl::StatusOr<BalancerView> view = balancer.View();
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
  CheckHanging(subject);
}

}  // namespace shadow
