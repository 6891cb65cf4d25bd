#include "server/core/reconciler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;

MemberView View(int order, I::State state, R::Want want = R::WANT_UNSPECIFIED) {
  return {.id = "i" + std::to_string(order), .state = state, .want = want, .order = order};
}

std::map<std::string, R::Want> Wants(const Reconciliation& result) {
  return {result.wants.begin(), result.wants.end()};
}

}  // namespace

TEST_CASE("missing members are created, as many as the cycle allows") {
  CHECK(Reconcile({.instances = 3, .active = 0, .creates_max = 10}, {}).creates == 3);
  CHECK(Reconcile({.instances = 3, .active = 0, .creates_max = 2}, {}).creates == 2);
  CHECK(Reconcile({.instances = 3, .active = 0, .creates_max = 0}, {}).creates == 0);
  CHECK(Reconcile({.instances = 3, .active = 0, .creates_max = -1}, {}).creates == 0);
}

TEST_CASE("members nearest to serving serve first, older before newer") {
  const auto wants = Wants(Reconcile(
      {.instances = 4, .active = 2, .creates_max = 9},
      {View(1, I::SUSPENDED), View(2, I::CREATING), View(3, I::WARMING), View(4, I::SUSPENDED)}));
  CHECK(wants == std::map<std::string, R::Want>{{"i1", R::WANT_ACTIVE},
                                                {"i2", R::WANT_SUSPENDED},
                                                {"i3", R::WANT_ACTIVE},
                                                {"i4", R::WANT_SUSPENDED}});
}

TEST_CASE("a surplus goes from those farthest from serving, newest first") {
  const auto wants =
      Wants(Reconcile({.instances = 1, .active = 1, .creates_max = 9},
                      {View(1, I::ACTIVE, R::WANT_ACTIVE), View(2, I::ACTIVE, R::WANT_ACTIVE),
                       View(3, I::SUSPENDED, R::WANT_SUSPENDED)}));
  CHECK(wants == std::map<std::string, R::Want>{{"i2", R::WANT_GONE}, {"i3", R::WANT_GONE}});
}

TEST_CASE("a cordoned member counts for nothing and stays, unless it is to be restarted") {
  std::vector<MemberView> members = {View(1, I::ACTIVE, R::WANT_ACTIVE),
                                     View(2, I::ACTIVE, R::WANT_ACTIVE)};
  members[0].cordoned = true;
  const GroupTarget target{.instances = 2, .active = 2, .creates_max = 9};
  Reconciliation result = Reconcile(target, members);
  CHECK(result.creates == 1);
  CHECK(Wants(result) == std::map<std::string, R::Want>{{"i1", R::WANT_CORDONED}});
  CHECK(Wants(Reconcile({}, members)) ==
        std::map<std::string, R::Want>{{"i1", R::WANT_CORDONED}, {"i2", R::WANT_GONE}});
  members[0].outdated = true;
  CHECK(Wants(Reconcile(target, members)) == std::map<std::string, R::Want>{{"i1", R::WANT_GONE}});
}

TEST_CASE("an outdated suspended member rests until a current one is ready in its place") {
  std::vector<MemberView> members = {View(1, I::SUSPENDED, R::WANT_SUSPENDED),
                                     View(2, I::SUSPENDED, R::WANT_SUSPENDED),
                                     View(3, I::VERIFYING, R::WANT_SUSPENDED)};
  members[0].outdated = true;
  const GroupTarget target{.instances = 2, .active = 0, .creates_max = 9};
  CHECK(Reconcile(target, members).wants.empty());
  members[2].state = I::SUSPENDED;
  CHECK(Wants(Reconcile(target, members)) == std::map<std::string, R::Want>{{"i1", R::WANT_GONE}});
}

TEST_CASE("an outdated member that is to yield goes before a current one has taken its place") {
  std::vector<MemberView> members = {
      View(1, I::ACTIVE, R::WANT_ACTIVE), View(2, I::ACTIVE, R::WANT_ACTIVE),
      View(3, I::WARMING, R::WANT_ACTIVE), View(4, I::WARMING, R::WANT_ACTIVE)};
  members[0].outdated = members[1].outdated = true;
  GroupTarget target{.instances = 2, .active = 2, .creates_max = 9};
  CHECK(Reconcile(target, members).wants.empty());
  target.yields = 1;
  CHECK(Wants(Reconcile(target, members)) == std::map<std::string, R::Want>{{"i2", R::WANT_GONE}});
  members[1].want = R::WANT_GONE;
  CHECK(Reconcile(target, members).wants.empty());  // It is on its way, the other one stays.
}

TEST_CASE("a failed member counts for nothing and goes when it has expired") {
  MemberView failed = View(1, I::FAILED, R::WANT_ACTIVE);
  const GroupTarget target{.instances = 1, .active = 1, .creates_max = 9};
  CHECK(Reconcile(target, {failed}).creates == 1);
  CHECK(Reconcile(target, {failed}).wants.empty());
  failed.expired = true;
  CHECK(Wants(Reconcile(target, {failed})).at("i1") == R::WANT_GONE);
}

TEST_CASE("a member that is going is never called back") {
  const auto result = Reconcile({.instances = 1, .active = 1, .creates_max = 9},
                                {View(1, I::DRAINING, R::WANT_GONE)});
  CHECK(result.wants.empty());
  CHECK(result.creates == 1);
}

TEST_CASE("an outdated member serves until a current one has taken its place") {
  MemberView old = View(1, I::ACTIVE, R::WANT_ACTIVE);
  old.outdated = true;
  const GroupTarget target{.instances = 1, .active = 1, .creates_max = 9};
  const auto first = Reconcile(target, {old});
  CHECK(first.creates == 1);
  CHECK(first.wants.empty());
  CHECK(Reconcile(target, {old, View(2, I::WARMING, R::WANT_ACTIVE)}).wants.empty());
  CHECK(Wants(Reconcile(target, {old, View(2, I::ACTIVE, R::WANT_ACTIVE)})).at("i1") ==
        R::WANT_GONE);
}

TEST_CASE("for any members: wants and creates add up to the target and settle at once") {
  std::mt19937 random(7);
  const auto pick = [&random](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<MemberView> members;
    for (int i = 0, count = pick(8); i < count; ++i) {
      members.push_back(View(i, static_cast<I::State>(I::CREATING + pick(10)),
                             static_cast<R::Want>(R::WANT_SUSPENDED + pick(3))));
    }
    GroupTarget target{.instances = pick(6), .active = 0, .creates_max = 100};
    target.active = pick(target.instances + 1);
    const Reconciliation result = Reconcile(target, members);
    const auto wants = Wants(result);
    int kept = 0;
    int active = 0;
    for (MemberView& member : members) {
      const auto want = wants.find(member.id);
      if (want != wants.end()) {
        REQUIRE(want->second != member.want);
        member.want = want->second;
      }
      if (member.state == I::FAILED || member.state == I::DELETING) continue;
      kept += member.want != R::WANT_GONE;
      active += member.want == R::WANT_ACTIVE;
    }
    REQUIRE(kept + result.creates == target.instances);
    REQUIRE(active == std::min(kept, target.active));
    REQUIRE(Reconcile(target, members).wants.empty());
  }
}

}  // namespace shadow
