#include "server/core/lifecycle.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

namespace shadow {
namespace {

using E = InstanceEvent;
using I = v1::Instance;
using R = v1::InstanceRecord;
using T = InstanceTask;

const std::vector<I::State> kStates = {I::CREATING, I::VERIFYING, I::SUSPENDING, I::SUSPENDED,
                                       I::RESUMING, I::WARMING,   I::ACTIVE,     I::DRAINING,
                                       I::FAILED,   I::DELETING};
const std::vector<R::Want> kWants = {R::WANT_SUSPENDED, R::WANT_ACTIVE, R::WANT_GONE};

std::vector<InstanceFacts> AllFacts() {
  std::vector<InstanceFacts> all;
  for (const R::Want want : kWants) {
    all.push_back({.want = want, .has_balancer = false, .balanced = false});
    all.push_back({.want = want, .has_balancer = true, .balanced = false});
    all.push_back({.want = want, .has_balancer = true, .balanced = true});
  }
  return all;
}

std::vector<E> AllEvents() {
  std::vector<E> events;
  for (int e = 0; e <= static_cast<int>(E::kRecovered); ++e) events.push_back(static_cast<E>(e));
  return events;
}

// The event that a task ends with when all goes well.
E Success(T task) {
  switch (task) {
    case T::kCreate:
      return E::kCreated;
    case T::kAwaitReady:
      return E::kReady;
    case T::kVerify:
      return E::kVerified;
    case T::kSuspend:
      return E::kSuspended;
    case T::kResume:
      return E::kResumed;
    case T::kWarmUp:
      return E::kWarmedUp;
    case T::kAdd:
      return E::kAdded;
    case T::kCanaryWeight:
    case T::kFullWeight:
      return E::kWeightSet;
    case T::kJudge:
      return E::kCanaryPassed;
    case T::kDrain:
      return E::kDrainBegun;
    case T::kAwaitDrained:
      return E::kDrained;
    case T::kRemove:
      return E::kRemoved;
    default:
      return E::kDestroyed;
  }
}

}  // namespace

TEST_CASE("every row of the lifecycle table is the first match for some facts") {
  for (const Transition& row : LifecycleTable()) {
    bool taken = false;
    for (const InstanceFacts& facts : AllFacts()) {
      taken |= NextTransition(row.from, row.event, facts) == &row;
    }
    INFO(I::State_Name(row.from) << " on " << EventName(row.event));
    CHECK(taken);
  }
}

TEST_CASE("every state is reached from CREATING") {
  std::set<I::State> reached = {I::CREATING};
  for (size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (const Transition& row : LifecycleTable()) {
      if (reached.contains(row.from)) reached.insert(row.to);
    }
  }
  CHECK(reached == std::set<I::State>(kStates.begin(), kStates.end()));
}

TEST_CASE("a failure ends every state but FAILED and DELETING in FAILED") {
  for (const I::State state : kStates) {
    for (const InstanceFacts& facts : AllFacts()) {
      const Transition* row = NextTransition(state, E::kFailed, facts);
      INFO(I::State_Name(state));
      if (state == I::FAILED || state == I::DELETING) {
        CHECK(row == nullptr);
      } else {
        REQUIRE(row != nullptr);
        CHECK(row->to == I::FAILED);
        if (facts.balanced)
          CHECK(row->task == (row->from < I::RESUMING ? T::kDestroy : T::kRemove));
      }
    }
  }
}

TEST_CASE("an instance that is to go is gone after finitely many successes, from every state") {
  for (const I::State state : kStates) {
    for (const bool balanced : {false, true}) {
      if (balanced && state < I::RESUMING) continue;
      InstanceFacts facts{.want = R::WANT_GONE, .has_balancer = true, .balanced = balanced};
      INFO(I::State_Name(state) << (balanced ? ", balanced" : ""));
      const Transition* row = NextTransition(state, E::kWantGone, facts);
      // A drain goes on as it is, a deletion too: recovery names their task.
      if (row == nullptr) row = NextTransition(state, E::kRecovered, facts);
      REQUIRE(row != nullptr);
      for (int steps = 0; row->task != T::kForget && steps < 10; ++steps) {
        const E event = Success(row->task);
        if (event == E::kRemoved) facts.balanced = false;
        row = NextTransition(row->to, event, facts);
        REQUIRE(row != nullptr);
      }
      CHECK(row->to == I::DELETING);
      CHECK(row->task == T::kForget);
    }
  }
}

TEST_CASE("nothing leaves DELETING") {
  for (const Transition& row : LifecycleTable()) {
    if (row.from == I::DELETING) CHECK(row.to == I::DELETING);
  }
}

TEST_CASE("an instance that is wanted active gets there from CREATING") {
  for (const bool has_balancer : {false, true}) {
    const InstanceFacts facts{
        .want = R::WANT_ACTIVE, .has_balancer = has_balancer, .balanced = has_balancer};
    const Transition* row = NextTransition(I::CREATING, E::kCreated, facts);
    std::vector<I::State> path = {I::CREATING};
    for (int steps = 0; row != nullptr && row->task != T::kNone && steps < 20; ++steps) {
      if (row->to != path.back()) path.push_back(row->to);
      row = NextTransition(row->to, Success(row->task), facts);
    }
    REQUIRE(row != nullptr);
    if (row->to != path.back()) path.push_back(row->to);
    CHECK(path == std::vector<I::State>{I::CREATING, I::VERIFYING, I::WARMING, I::ACTIVE});
  }
}

TEST_CASE("only a verified instance is ever warmed up or added to the balancer") {
  for (const Transition& row : LifecycleTable()) {
    if (row.from != I::CREATING && row.from != I::VERIFYING) continue;
    INFO(I::State_Name(row.from) << " on " << EventName(row.event));
    CHECK(row.task != T::kAdd);
    if (row.task == T::kWarmUp) CHECK(row.event == E::kVerified);
  }
}

TEST_CASE("every state knows how to go on after a restart") {
  for (const I::State state : kStates) {
    for (const InstanceFacts& facts : AllFacts()) {
      INFO(I::State_Name(state));
      CHECK(NextTransition(state, E::kRecovered, facts) != nullptr);
    }
  }
}

TEST_CASE("an event that means nothing in a state is dropped") {
  const InstanceFacts facts{.want = R::WANT_ACTIVE, .has_balancer = true, .balanced = false};
  CHECK(NextTransition(I::CREATING, E::kVerified, facts) == nullptr);
  CHECK(NextTransition(I::CREATING, E::kWantActive, facts) == nullptr);
  CHECK(NextTransition(I::SUSPENDED, E::kCanaryPassed, facts) == nullptr);
  CHECK(NextTransition(I::ACTIVE, E::kReady, facts) == nullptr);
  CHECK(NextTransition(I::FAILED, E::kWantActive, facts) == nullptr);
  CHECK(NextTransition(I::DELETING, E::kWantActive, facts) == nullptr);
  CHECK(NextTransition(I::DELETING, E::kReady, facts) == nullptr);
}

TEST_CASE("a task that changes the world has an intent, one that only looks has none") {
  for (const T task : {T::kCreate, T::kSuspend, T::kResume, T::kAdd, T::kCanaryWeight,
                       T::kFullWeight, T::kDrain, T::kRemove, T::kDestroy}) {
    INFO(TaskName(task));
    CHECK(IntentOf(task) != R::INTENT_UNSPECIFIED);
  }
  for (const T task : {T::kNone, T::kAwaitReady, T::kVerify, T::kJudge, T::kAwaitDrained}) {
    CHECK(IntentOf(task) == R::INTENT_UNSPECIFIED);
  }
}

TEST_CASE("every event and task has a name of its own") {
  std::set<std::string_view> names;
  for (const E event : AllEvents()) names.insert(EventName(event));
  CHECK(names.size() == AllEvents().size());
  std::set<std::string_view> tasks;
  for (int t = 0; t <= static_cast<int>(T::kForget); ++t) tasks.insert(TaskName(static_cast<T>(t)));
  CHECK(tasks.size() == static_cast<size_t>(T::kForget) + 1);
}

}  // namespace shadow
