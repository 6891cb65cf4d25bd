// HAProxy is stopped, killed, reloaded, or its socket lies: no instance is harmed, no request fails
// where HAProxy itself serves, the pool says what is wrong, and all heals when it is over.
#include <random>

#include "tests/fakes/random_seed.h"
#include "tests/fault/world_tally.h"
#include "tests/server/balancers/lying_haproxy.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

// A pool with a base and a shadow of two, whose level turns while HAProxy fails.
class FailingHaproxy {
 public:
  FailingHaproxy(const std::string& row, const std::string& attempts, WorldOptions options)
      : tally_(row, attempts), world_(std::move(options), false) {}

  void Begin() {
    world_.CreateDna();
    world_.CreatePool();
    world_.WaitForBase();
    world_.CreateShadow(2);
    world_.WaitForShadow(S::SUSPENDED, 0);
    AwaitReachable(v1::Condition::TRUE);
    living_ = world_.daemon().TaggedProcesses();
    REQUIRE(living_.size() == 3);
  }

  ShadowWorld& world() { return world_; }
  HaproxyProcess& haproxy() { return world_.haproxy(); }

  void BeginLoad() {
    load_.emplace(world_.Load());
    WaitForAnswers(*load_, 10);
  }
  void EndLoad() {
    WaitForAnswers(*load_, 10);
    CountFailures(*load_, tally_);
    load_.reset();
  }

  // Begun by what broke HAProxy; `heal` ends it.
  template <typename F>
  void TurnLevelUntil(F heal) {
    tally_.Try();
    AwaitReachable(v1::Condition::FALSE);
    TurnLevel();
    PollUntil(kBroken, [] { return false; });
    CountEnded(world_.daemon(), living_, tally_);
    heal();
    AwaitHealed();
  }

  // As TurnLevelUntil, where it is over as soon as it begins.
  void TurnLevelNow() {
    tally_.Try();
    TurnLevel();
    AwaitHealed();
  }

  // As TurnLevelUntil, at a random instant of the turn, which is under way then. `over` when all
  // members are as they must be.
  template <typename Break, typename Heal, typename Over>
  void TurnLevelDuring(std::mt19937_64& random, Break breaks, Heal heal, Over over) {
    tally_.Try();
    TurnLevel();
    const auto wait = absl::Milliseconds(std::uniform_int_distribution<int>(0, 700)(random));
    PollUntil(wait, [] { return false; });
    breaks();
    PollUntil(kBroken, [] { return false; });
    CountEnded(world_.daemon(), living_, tally_);
    heal();
    AwaitHealed();
    over();
  }

  // Of a load during which nobody may have been there to answer.
  void EndLoadThatMayFail() {
    WaitForAnswers(*load_, 10);
    const HttpLoad::Result result = load_->Stop();
    CHECK(result.ok > 0);
    for (const auto& [status, count] : result.by_status) {
      if (status < 200 || status > 299) {
        tally_.Note(count, status == 0 ? "requests that nobody answered"
                                       : "answers " + std::to_string(status));
      }
    }
    tally_.Note(result.ok, "answers well");
    load_.reset();
  }

  void Finish() { FinishRow(world_, tally_); }

 private:
  static constexpr absl::Duration kBroken = absl::Seconds(1);

  void TurnLevel() {
    active_ = !active_;
    world_.Activate(active_ ? 100 : 0);
  }

  void AwaitHealed() {
    AwaitReachable(v1::Condition::TRUE);
    world_.WaitForShadow(active_ ? S::ACTIVE : S::SUSPENDED, active_ ? 2 : 0);
    CountEnded(world_.daemon(), living_, tally_);
    CountLeaks(world_, tally_);
  }

  void AwaitReachable(v1::Condition::Status status) {
    world_.WaitFor("BalancerReachable is " + v1::Condition::Status_Name(status), [&] {
      const auto pool = world_.FindPool();
      if (!pool.ok()) return false;
      return std::any_of(pool->conditions().begin(), pool->conditions().end(),
                         [status](const v1::Condition& condition) {
                           return condition.type() == "BalancerReachable" &&
                                  condition.status() == status;
                         });
    });
  }

  Tally tally_;
  ShadowWorld world_;
  std::optional<HttpLoad> load_;
  InstanceProcesses living_;
  bool active_ = false;
};

TEST_CASE("a HAProxy that is stopped and goes on fails no request, and its pool follows then") {
  FailingHaproxy row("HAProxy stopped", "stops", {});
  row.Begin();
  row.BeginLoad();
  for (int i = 0; i < 3; ++i) {
    row.haproxy().Pause();
    row.TurnLevelUntil([&] { row.haproxy().Continue(); });
  }
  row.EndLoad();
  row.Finish();
}

TEST_CASE("a HAProxy that is killed and started anew has all members again, and serves") {
  FailingHaproxy row("HAProxy killed", "kills", {});
  row.Begin();
  for (int i = 0; i < 3; ++i) {
    row.BeginLoad();
    row.EndLoad();  // While nobody listens each request would fail.
    row.haproxy().Kill();
    row.TurnLevelUntil([&] { row.haproxy().Restart(); });
  }
  row.BeginLoad();
  row.EndLoad();
  row.Finish();
}

TEST_CASE("a HAProxy that is reloaded with its state fails no request") {
  FailingHaproxy row("HAProxy reloaded with state", "reloads", {.haproxy_keeps_state = true});
  row.Begin();
  row.BeginLoad();
  for (int i = 0; i < 4; ++i) {
    row.haproxy().Reload();
    row.TurnLevelNow();
  }
  row.EndLoad();
  row.Finish();
}

TEST_CASE("a HAProxy that is reloaded without its state has all members again, and serves") {
  FailingHaproxy row("HAProxy reloaded without state", "reloads", {});
  row.Begin();
  for (int i = 0; i < 4; ++i) {
    row.BeginLoad();
    row.EndLoad();  // Until the daemon has seen that it was reloaded, nobody serves.
    row.haproxy().Reload();
    row.TurnLevelNow();
  }
  row.BeginLoad();
  row.EndLoad();
  row.Finish();
}

TEST_CASE("a HAProxy that is killed while instances are activated under load loses no instance") {
  std::mt19937_64 random(RandomSeed());
  FailingHaproxy row("HAProxy killed during activations", "kills", {});
  row.Begin();
  for (int i = 0; i < 4; ++i) {
    row.BeginLoad();
    row.TurnLevelDuring(
        random, [&] { row.haproxy().Kill(); }, [&] { row.haproxy().Restart(); },
        [&] { row.EndLoadThatMayFail(); });
    row.BeginLoad();
    row.EndLoad();
  }
  row.Finish();
}

class Lying {
 public:
  explicit Lying(const std::string& row)
      : row_(row, "lies",
             {.pool = "balancer { haproxy { socket_path: \"" + liar_.path() + "\" } }"}) {
    liar_.StandBefore(row_.haproxy().socket_path());
    row_.Begin();
    row_.BeginLoad();
  }

  void Tell(const HaproxyLie& lie) {
    INFO(lie.name);
    liar_.Tell(&lie);
    row_.TurnLevelUntil([&] { liar_.Tell(nullptr); });
  }

  void Finish() {
    row_.EndLoad();
    row_.Finish();
  }

 private:
  LyingHaproxy liar_;
  FailingHaproxy row_;
};

TEST_CASE("a HAProxy whose replies are damaged is not believed, and harms nobody") {
  Lying lying("HAProxy lying");
  for (const HaproxyLie& lie : HaproxyLies()) lying.Tell(lie);
  lying.Finish();
}

TEST_CASE("300 damaged replies of HAProxy in turn harm nobody", "[.long]") {
  std::mt19937_64 random(RandomSeed());
  Lying lying("HAProxy lying, long");
  const std::vector<HaproxyLie>& lies = HaproxyLies();
  for (int i = 0; i < 300; ++i) lying.Tell(lies[random() % lies.size()]);
  lying.Finish();
}

}  // namespace
}  // namespace shadow
