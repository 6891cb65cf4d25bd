#include "server/core/lifecycle.h"

#include <catch2/catch.hpp>
#include <iterator>
#include <random>
#include <set>
#include <utility>
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
const std::vector<R::Want> kWants = {R::WANT_SUSPENDED, R::WANT_ACTIVE, R::WANT_CORDONED,
                                     R::WANT_GONE};

std::vector<InstanceFacts> AllFacts() {
  std::vector<InstanceFacts> all;
  for (const R::Want want : kWants) {
    all.push_back({.want = want, .has_balancer = false, .balanced = false});
    all.push_back({.want = want, .has_balancer = true, .balanced = false});
    all.push_back({.want = want, .has_balancer = true, .balanced = true});
  }
  for (const bool has_balancer : {false, true}) {
    all.push_back({.want = R::WANT_SUSPENDED,
                   .has_balancer = has_balancer,
                   .balanced = false,
                   .checking = true});
  }
  return all;
}

// For messages of failed checks, in the order of the enum.
std::string_view EventName(InstanceEvent event) {
  constexpr std::string_view kNames[] = {
      "created",    "ready",         "verified",    "suspended", "resumed",     "warmed up",
      "weight set", "canary passed", "drain begun", "drained",   "removed",     "destroyed",
      "lost",       "running",       "stopped",     "failed",    "want active", "want suspended",
      "want gone",  "want cordoned", "check due",   "recovered"};
  static_assert(std::size(kNames) == static_cast<size_t>(E::kRecovered) + 1);
  return kNames[static_cast<size_t>(event)];
}

// The event that a task ends with when all goes well; one that has none is the last.
E Success(T task) { return RowOf(task).done.value_or(E::kDestroyed); }

// One instance as the control loop moves it: its facts follow from the tasks and events.
struct Walker {
  InstanceFacts facts;
  I::State state = I::CREATING;
  T task = T::kCreate;

  void Apply(E event) {
    const Transition* row = NextTransition(state, event, facts);
    if (row == nullptr) return;
    if (event == E::kRemoved) facts.balanced = false;
    if (row->task == T::kAdd) facts.balanced = true;
    state = row->to;
    task = row->task;
    if (state == I::SUSPENDED || state == I::FAILED) facts.checking = false;
  }

  void Want(R::Want want) {
    if (facts.want == R::WANT_GONE || facts.want == want) return;  // Who is going is never called.
    facts.want = want;
    const bool warm = std::exchange(facts.checking, false) && task == T::kVerify;
    if (state == I::DRAINING && !facts.balanced) return Apply(E::kRemoved);
    if (want == R::WANT_ACTIVE) return Apply(warm ? E::kWarmedUp : E::kWantActive);
    if (want == R::WANT_CORDONED) return Apply(E::kWantCordoned);
    Apply(want == R::WANT_GONE ? E::kWantGone : E::kWantSuspended);
  }

  void Check() {
    if (state != I::SUSPENDED || facts.want != R::WANT_SUSPENDED) return;
    facts.checking = true;
    Apply(E::kCheckDue);
  }

  // What may happen to it now beside the success of its task.
  std::vector<E> Mishaps() const {
    std::vector<E> mishaps = {E::kFailed, E::kRecovered};
    if (facts.balanced) mishaps.push_back(E::kLost);
    if (state == I::SUSPENDED) mishaps.push_back(E::kRunning);
    if (state == I::ACTIVE && task == T::kNone) mishaps.push_back(E::kStopped);
    return mishaps;
  }

  bool AtRest() const {
    if (task == T::kForget) return facts.want == R::WANT_GONE;
    if (task != T::kNone) return false;
    if (state == I::FAILED) return facts.want != R::WANT_GONE;
    if (facts.want == R::WANT_CORDONED && state == I::DRAINING) return !facts.balanced;
    return state == (facts.want == R::WANT_ACTIVE ? I::ACTIVE : I::SUSPENDED);
  }
};

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

TEST_CASE("a suspended instance that is checked is warmed up, verified and suspended again") {
  Walker walker{.facts = {.want = R::WANT_SUSPENDED, .has_balancer = true},
                .state = I::SUSPENDED,
                .task = T::kNone};
  walker.Check();
  std::vector<std::pair<I::State, T>> path;
  for (int steps = 0; walker.task != T::kNone && steps < 10; ++steps) {
    path.emplace_back(walker.state, walker.task);
    walker.Apply(Success(walker.task));
  }
  CHECK(path == std::vector<std::pair<I::State, T>>{{I::RESUMING, T::kResume},
                                                    {I::WARMING, T::kWarmUp},
                                                    {I::WARMING, T::kVerify},
                                                    {I::SUSPENDING, T::kSuspend}});
  CHECK(walker.state == I::SUSPENDED);
  CHECK_FALSE(walker.facts.checking);
}

TEST_CASE("an instance that is wanted while it is checked is warmed up once") {
  Walker walker{.facts = {.want = R::WANT_SUSPENDED, .has_balancer = true},
                .state = I::SUSPENDED,
                .task = T::kNone};
  walker.Check();
  while (walker.task != T::kVerify) walker.Apply(Success(walker.task));
  walker.Want(R::WANT_ACTIVE);
  CHECK(walker.state == I::WARMING);
  CHECK(walker.task == T::kAdd);
}

TEST_CASE("a cordoned instance that served runs on, and one that rested stays suspended") {
  for (const bool balanced : {false, true}) {
    Walker serving{
        .facts = {.want = R::WANT_ACTIVE, .has_balancer = balanced, .balanced = balanced},
        .state = I::ACTIVE,
        .task = T::kNone};
    serving.Want(R::WANT_CORDONED);
    while (serving.task != T::kNone) serving.Apply(Success(serving.task));
    CHECK(serving.state == I::DRAINING);
    CHECK_FALSE(serving.facts.balanced);
    serving.Apply(E::kRecovered);
    CHECK(serving.task == T::kNone);
    serving.Want(R::WANT_ACTIVE);
    CHECK(serving.state == I::WARMING);
  }
  Walker resting{.facts = {.want = R::WANT_SUSPENDED, .has_balancer = true},
                 .state = I::SUSPENDED,
                 .task = T::kNone};
  resting.Want(R::WANT_CORDONED);
  CHECK(resting.state == I::SUSPENDED);
  CHECK(resting.task == T::kNone);
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

TEST_CASE("every task has a name of its own") {
  std::set<std::string_view> tasks;
  for (int t = 0; t <= static_cast<int>(T::kForget); ++t)
    tasks.insert(RowOf(static_cast<T>(t)).name);
  CHECK(tasks.size() == static_cast<size_t>(T::kForget) + 1);
}

TEST_CASE("after any events an instance that is left alone comes to rest as it is wanted") {
  std::mt19937 random(11);
  const auto pick = [&random](size_t below) { return random() % below; };
  constexpr int kStepsMax = 16;  // From CREATING over a drain to gone, the longest way there is.
  for (int round = 0; round < 20'000; ++round) {
    Walker walker{.facts = {.want = pick(2) == 0 ? R::WANT_ACTIVE : R::WANT_SUSPENDED,
                            .has_balancer = pick(4) != 0,
                            .balanced = false}};
    for (size_t events = pick(40); events > 0 && walker.task != T::kForget; --events) {
      const size_t what = pick(8);
      if (what == 0) {
        walker.Want(pick(8) == 0 ? R::WANT_GONE : kWants[pick(3)]);
      } else if (what == 1) {
        const std::vector<E> mishaps = walker.Mishaps();
        walker.Apply(mishaps[pick(mishaps.size())]);
      } else if (what == 2) {
        walker.Check();
      } else if (walker.task != T::kNone) {
        walker.Apply(Success(walker.task));
      }
      // What serves nobody may be told of, and what is told of is not at rest elsewhere.
      if (walker.facts.balanced) REQUIRE(walker.state >= I::RESUMING);
    }
    int steps = 0;
    while (!walker.AtRest() && ++steps <= kStepsMax) walker.Apply(Success(walker.task));
    INFO("round " << round << ": " << I::State_Name(walker.state) << ", task "
                  << RowOf(walker.task).name << ", wanted " << walker.facts.want);
    REQUIRE(walker.AtRest());
    if (walker.task == T::kForget) REQUIRE_FALSE(walker.facts.balanced);
    if (walker.state == I::ACTIVE) {
      REQUIRE(walker.facts.balanced == walker.facts.has_balancer);
    } else {
      REQUIRE_FALSE(walker.facts.balanced);
    }
  }
}

TEST_CASE("a failure, a loss or a restart that is told twice is as good as told once") {
  for (const I::State state : kStates) {
    for (const InstanceFacts& facts : AllFacts()) {
      for (const E event : {E::kFailed, E::kLost, E::kRunning, E::kStopped, E::kWantGone}) {
        const Transition* first = NextTransition(state, event, facts);
        if (first == nullptr) continue;
        const Transition* second = NextTransition(first->to, event, facts);
        INFO(I::State_Name(state) << " on " << EventName(event));
        CHECK((second == nullptr || (second->to == first->to && second->task == first->task)));
      }
    }
  }
}

}  // namespace shadow
