// Two daemons with one Lease never both act, whatever the network does.
#include "server/providers/kubernetes/lease/lease_fence.h"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/random_seed.h"

namespace shadow {
namespace {

using Standing = LeaseElection::Standing;

constexpr absl::Duration kLeaseDuration = absl::Seconds(15);
constexpr absl::Duration kRenewDeadline = absl::Seconds(10);

// What the API server keeps. Thread-safe.
class LeaseServer {
 public:
  absl::StatusOr<LeaseObject> Read() {
    const std::lock_guard lock(mutex_);
    if (!object_.has_value()) return absl::NotFoundError("no such Lease");
    return LeaseObject(*object_);
  }

  absl::StatusOr<LeaseObject> Write(const LeaseObject& lease) {
    const std::lock_guard lock(mutex_);
    const std::string now = object_.has_value() ? LeaseObject(*object_).version() : "";
    if (lease.version() != now) return absl::AbortedError("the object has been modified");
    object_ = lease.json();
    (*object_)["metadata"]["resourceVersion"] = std::to_string(++version_);
    return LeaseObject(*object_);
  }

  void Remove() {
    const std::lock_guard lock(mutex_);
    object_.reset();
  }

 private:
  std::mutex mutex_;
  std::optional<nlohmann::json> object_;
  int version_ = 0;
};

// One daemon's way to it.
class FakeLeaseSeat final : public LeaseSeat {
 public:
  enum class Way { kOpen, kCut, kAnswersLost, kHangs };

  explicit FakeLeaseSeat(LeaseServer& server) : server_(server) {}

  std::string name() const override { return "shop/shadowd"; }
  absl::StatusOr<LeaseObject> Read() override {
    return Pass([this] { return server_.Read(); });
  }
  LeaseObject Missing() const override { return LeaseObject::New("shop", "shadowd"); }
  absl::StatusOr<LeaseObject> Write(const LeaseObject& lease) override {
    return Pass([&] { return server_.Write(lease); });
  }

  std::atomic<Way> way = Way::kOpen;

 private:
  template <typename F>
  absl::StatusOr<LeaseObject> Pass(F request) {
    PollUntil(kPatience, [this] { return way != Way::kHangs; });
    if (way == Way::kCut) return absl::UnavailableError("no connection");
    const absl::StatusOr<LeaseObject> answer = request();
    if (way == Way::kAnswersLost) return absl::DeadlineExceededError("no answer in time");
    return answer;
  }

  LeaseServer& server_;
};

// An election that goes by the rules of a fence, without its threads.
struct Candidate {
  Candidate(LeaseServer& server, Clock& its_clock, const std::string& identity)
      : seat(server), clock(its_clock), election(seat, its_clock, identity, kLeaseDuration) {}

  LeaseElection::Round Next() {
    const LeaseElection::Round round = election.Next();
    if (round.standing == Standing::kHeld) holds_until = round.renewed + kRenewDeadline;
    if (round.standing == Standing::kLost) holds_until.reset();
    return round;
  }
  bool Holds() const { return holds_until.has_value() && clock.Now().mono < *holds_until; }
  // The process has ended, or should have.
  bool Over() const { return holds_until.has_value() && !Holds(); }

  FakeLeaseSeat seat;
  Clock& clock;
  LeaseElection election;
  std::optional<absl::Duration> holds_until;
};

TEST_CASE("a Lease that is missing is held only after its duration") {
  LeaseServer server;
  ManualClock clock;
  Candidate a(server, clock, "a");
  CHECK(a.Next().standing == Standing::kWaiting);
  CHECK(server.Read()->holder() == "a");
  clock.Advance(kLeaseDuration - absl::Seconds(1));
  CHECK(a.Next().standing == Standing::kWaiting);
  clock.Advance(absl::Seconds(1));
  CHECK(a.Next().standing == Standing::kHeld);
}

// `a` holds it.
struct HeldLease {
  HeldLease() {
    a.Next();
    clock.Advance(kLeaseDuration);
    CHECK(a.Next().standing == Standing::kHeld);
  }
  LeaseServer server;
  ManualClock clock;
  Candidate a{server, clock, "a"};
};

TEST_CASE("a Lease is taken once no renewal was seen for its duration") {
  HeldLease held;
  Candidate b(held.server, held.clock, "b");
  CHECK(b.Next().why == "a holds it");
  held.clock.Advance(absl::Seconds(9));
  CHECK(held.a.Next().standing == Standing::kHeld);
  held.clock.Advance(absl::Seconds(9));
  CHECK(b.Next().standing == Standing::kWaiting);  // It has seen that renewal now.
  held.a.seat.way = FakeLeaseSeat::Way::kCut;
  held.clock.Advance(kLeaseDuration - absl::Seconds(1));
  CHECK(held.a.Next().standing == Standing::kUnknown);
  CHECK(b.Next().standing == Standing::kWaiting);
  CHECK_FALSE(held.a.Holds());
  held.clock.Advance(absl::Seconds(1));
  CHECK(b.Next().standing == Standing::kHeld);
  CHECK(held.server.Read()->json()["spec"]["leaseTransitions"] == 1);
  held.a.seat.way = FakeLeaseSeat::Way::kOpen;
  CHECK(held.a.Next().why == "b has taken it");
}

TEST_CASE("a Lease that was released is taken at once") {
  HeldLease held;
  CHECK(held.a.election.Release().ok());
  Candidate b(held.server, held.clock, "b");
  CHECK(b.Next().standing == Standing::kHeld);
}

TEST_CASE("a renewal whose answer was lost does not count, and the next one does") {
  HeldLease held;
  held.clock.Advance(absl::Seconds(4));
  held.a.seat.way = FakeLeaseSeat::Way::kAnswersLost;
  CHECK(held.a.Next().standing == Standing::kUnknown);
  held.a.seat.way = FakeLeaseSeat::Way::kOpen;
  held.clock.Advance(absl::Seconds(4));
  CHECK(held.a.Next().standing == Standing::kHeld);
}

TEST_CASE("labels of others stay on a Lease, and it says in whole what Kubernetes wants") {
  LeaseObject lease = LeaseObject::New("shop", "shadowd");
  nlohmann::json labelled = lease.json();
  labelled["metadata"]["labels"]["team"] = "x";
  const LeaseObject taken = LeaseObject(labelled).TakenBy("a", kLeaseDuration, absl::UnixEpoch());
  CHECK(taken.json().dump() ==
        R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"labels":)"
        R"({"team":"x"},"name":"shadowd","namespace":"shop"},"spec":{"acquireTime":)"
        R"("1970-01-01T00:00:00.000000Z","holderIdentity":"a","leaseDurationSeconds":15,)"
        R"("leaseTransitions":0,"renewTime":"1970-01-01T00:00:00.000000Z"}})");
  CHECK(taken.Released(absl::UnixEpoch()).holder().empty());
  for (const char* nonsense : {"{}", R"({"spec":7})", R"({"spec":{"holderIdentity":[]}})",
                               R"({"spec":{"leaseDurationSeconds":-1}})"}) {
    const LeaseObject odd(nlohmann::json::parse(nonsense));
    CHECK(odd.holder().empty());
    CHECK(odd.duration() == absl::ZeroDuration());
    CHECK(odd.TakenBy("a", kLeaseDuration, absl::UnixEpoch()).holder() == "a");
  }
}

TEST_CASE("whatever the network does, no two hold a Lease at one time") {
  std::mt19937_64 random(RandomSeed());
  LeaseServer server;
  ManualClock clock;
  std::vector<std::unique_ptr<Candidate>> candidates;
  int made = 0;
  const auto fresh = [&] {
    return std::make_unique<Candidate>(server, clock, absl::StrCat("candidate", ++made));
  };
  for (int i = 0; i < 3; ++i) candidates.push_back(fresh());
  int64_t held = 0;
  for (int step = 0; step < 20'000; ++step) {
    clock.Advance(absl::Milliseconds(random() % 1500));
    auto& one = candidates[random() % candidates.size()];
    if (one->Over()) one = fresh();
    const int64_t dice = static_cast<int64_t>(random() % 100);
    if (dice < 3) one->seat.way = FakeLeaseSeat::Way::kCut;
    if (dice >= 3 && dice < 5) one->seat.way = FakeLeaseSeat::Way::kAnswersLost;
    if (dice >= 5 && dice < 12) one->seat.way = FakeLeaseSeat::Way::kOpen;
    if (dice == 12 && random() % 5 == 0) server.Remove();
    if (dice == 13 && random() % 5 == 0 && one->Holds()) {
      one->election.Release().IgnoreError();
      one = fresh();
    }
    if (one->Next().standing == Standing::kLost) one = fresh();
    int holders = 0;
    for (const auto& candidate : candidates) holders += candidate->Holds() ? 1 : 0;
    REQUIRE(holders <= 1);
    held += holders;
  }
  CHECK(held > 5'000);
  CHECK(made > 20);
}

// A fence over a fake, with what it has told.
struct FencedProcess {
  LeaseFence::Options Options() {
    return {.duration = kLeaseDuration,
            .renew_deadline = kRenewDeadline,
            .identity = "a",
            .wait =
                [this](absl::Duration pause) {
                  clock.Advance(pause);
                  return waits_left-- > 0;
                },
            .on_wait = [this](const std::string& why) { waited_for.push_back(why); },
            .on_lost =
                [this](const std::string& why) {
                  const std::lock_guard lock(mutex);
                  lost.push_back(why);
                }};
  }
  absl::Status Await() {
    auto own = std::make_unique<FakeLeaseSeat>(server);
    seat = own.get();
    auto made = LeaseFence::Await(std::move(own), Options(), clock);
    if (made.ok()) fence = *std::move(made);
    return made.status();
  }
  std::vector<std::string> Lost() {
    const std::lock_guard lock(mutex);
    return lost;
  }

  LeaseServer server;
  ManualClock clock;
  int waits_left = 100;
  std::vector<std::string> waited_for;
  std::mutex mutex;
  std::vector<std::string> lost;
  FakeLeaseSeat* seat = nullptr;
  std::unique_ptr<LeaseFence> fence;
};

TEST_CASE("a fence renews for as long as it can, and tells once that it is lost") {
  FencedProcess process;
  REQUIRE(process.Await().ok());
  CHECK(process.waited_for.size() == 1);
  for (int i = 0; i < 20; ++i) {
    const std::string before = process.server.Read()->version();
    process.clock.Advance(kRenewDeadline / LeaseFence::kRoundsPerDeadline);
    REQUIRE(PollUntil(kPatience, [&] { return process.server.Read()->version() != before; }));
    REQUIRE(PollUntil(kPatience, [&] { return process.fence->Holds(); }));
  }
  process.seat->way = FakeLeaseSeat::Way::kCut;
  for (int i = 0; i < 2; ++i) process.clock.Advance(kRenewDeadline);
  CHECK_FALSE(process.fence->Holds());
  REQUIRE(PollUntil(kPatience, [&] { return !process.Lost().empty(); }));
  CHECK(process.Lost().front().starts_with("the Lease shop/shadowd is lost: it was not renewed"));
  process.fence.reset();
  CHECK(process.Lost().size() == 1);
}

TEST_CASE("a renewal that hangs does not keep a fence from telling that the Lease is lost") {
  FencedProcess process;
  REQUIRE(process.Await().ok());
  process.seat->way = FakeLeaseSeat::Way::kHangs;
  process.clock.Advance(kRenewDeadline);
  REQUIRE(PollUntil(kPatience, [&] { return process.Lost().size() == 1; }));
  process.seat->way = FakeLeaseSeat::Way::kOpen;
}

TEST_CASE("who waits for a Lease can be told to end, and one that ends well releases it") {
  FencedProcess process;
  Candidate other(process.server, process.clock, "other");
  other.Next();
  process.waits_left = 1;
  CHECK(absl::IsCancelled(process.Await()));
  CHECK(process.waited_for == std::vector<std::string>{"other holds it"});
  process.waits_left = 100;
  REQUIRE(process.Await().ok());
  CHECK(process.fence->Release().ok());
  CHECK_FALSE(process.fence->Holds());
  CHECK(process.server.Read()->holder().empty());
  CHECK(process.Lost().empty());
}

}  // namespace
}  // namespace shadow
