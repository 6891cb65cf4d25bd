// Who waits for whom where calls hang.
#include "server/workers/lanes.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

constexpr absl::Duration kTimeLimit = absl::Seconds(10);

// Calls that hang until they are let go, whatever they are told.
class Hanging {
 public:
  ~Hanging() { LetGo(); }

  EffectResult Call() {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.wait(lock, [this] { return let_go_; });
    ++ended_;
    return {};
  }
  void LetGo() {
    {
      const std::lock_guard lock(mutex_);
      let_go_ = true;
    }
    changed_.notify_all();
  }
  int begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  int ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool let_go_ = false;
  int begun_ = 0;
  int ended_ = 0;
};

class LanesWorld {
 public:
  LanesWorld()
      : lanes_(std::make_unique<Lanes>(clock_, [this](EffectResult result) {
          const std::lock_guard lock(mutex_);
          ++told_[result.id];
          statuses_[result.id] = result.status;
        })) {}
  ~LanesWorld() {
    hanging_.LetGo();
    lanes_.reset();
  }

  uint64_t Hang(const std::string& lane, int in_flight_max, const std::string& subject = "") {
    return Submit(lane, in_flight_max, subject,
                  [this](const std::stop_token&) { return hanging_.Call(); });
  }
  uint64_t Quick(const std::string& lane, int in_flight_max = 2, const std::string& subject = "") {
    return Submit(lane, in_flight_max, subject,
                  [](const std::stop_token&) { return EffectResult{}; });
  }

  // May go with others of its lane in one call, `together_max` at most; the call hangs.
  uint64_t HangTogether(const std::string& lane, int together_max, const std::string& subject) {
    Effect effect;
    effect.id = ++last_id_;
    lanes_->Submit({.id = effect.id,
                    .lane = lane,
                    .subject = subject,
                    .in_flight_max = 1,
                    .time_limit = kTimeLimit,
                    .together_max = together_max,
                    .effect = effect,
                    .run_together = [this](std::span<const Effect> effects) {
                      {
                        const std::lock_guard lock(mutex_);
                        together_.push_back(effects.size());
                      }
                      hanging_.Call();
                      std::vector<EffectResult> results(effects.size());
                      for (size_t i = 0; i < effects.size(); ++i) {
                        results[i].status = absl::NotFoundError(std::to_string(effects[i].id));
                      }
                      return results;
                    }});
    return effect.id;
  }
  // How many went in each such call.
  std::vector<size_t> together() {
    const std::lock_guard lock(mutex_);
    return together_;
  }

  bool Done(uint64_t id) {
    const std::lock_guard lock(mutex_);
    return told_.contains(id);
  }
  absl::Status StatusOf(uint64_t id) {
    REQUIRE(PollUntil(kPatience, [&] { return Done(id); }));
    const std::lock_guard lock(mutex_);
    CHECK(told_[id] == 1);
    return statuses_[id];
  }
  // All of them have begun.
  void AwaitBegun(int calls) {
    REQUIRE(PollUntil(kPatience, [&] { return hanging_.begun() == calls; }));
  }

  ManualClock& clock() { return clock_; }
  Hanging& hanging() { return hanging_; }
  Lanes& lanes() { return *lanes_; }

 private:
  uint64_t Submit(const std::string& lane, int in_flight_max, const std::string& subject,
                  std::function<EffectResult(const std::stop_token&)> run) {
    lanes_->Submit({.id = ++last_id_,
                    .lane = lane,
                    .subject = subject,
                    .in_flight_max = in_flight_max,
                    .time_limit = kTimeLimit,
                    .run = std::move(run)});
    return last_id_;
  }

  ManualClock clock_;
  Hanging hanging_;
  uint64_t last_id_ = 0;
  std::mutex mutex_;
  std::map<uint64_t, int> told_;
  std::map<uint64_t, absl::Status> statuses_;
  std::vector<size_t> together_;
  std::unique_ptr<Lanes> lanes_;  // Last: it writes what is above.
};

TEST_CASE("a lane that hangs has its calls under way, and holds up no other lane") {
  LanesWorld world;
  std::vector<uint64_t> hung;
  for (int i = 0; i < 20; ++i) hung.push_back(world.Hang("balancer a", 2));
  world.AwaitBegun(2);
  for (int i = 0; i < 50; ++i) CHECK(world.StatusOf(world.Quick("balancer b")).ok());
  CHECK(world.hanging().begun() == 2);
  for (const uint64_t id : hung) CHECK_FALSE(world.Done(id));
}

TEST_CASE("a call that does not return in time is reported, and its lane goes on") {
  LanesWorld world;
  const uint64_t hung = world.Hang("balancer a", 1);
  world.AwaitBegun(1);
  const uint64_t waits = world.Quick("balancer a", 1);
  world.clock().Advance(kTimeLimit - absl::Milliseconds(1));
  CHECK(world.StatusOf(world.Quick("balancer b")).ok());
  CHECK_FALSE(world.Done(hung));
  world.clock().Advance(absl::Milliseconds(1));
  const absl::Status late = world.StatusOf(hung);
  CHECK(absl::IsDeadlineExceeded(late));
  CHECK(late.message() == "balancer a: no answer within 10s");
  CHECK(world.StatusOf(waits).ok());
  // What it says in the end is dropped: StatusOf sees that it was told once.
  world.hanging().LetGo();
  REQUIRE(PollUntil(kPatience, [&] { return world.hanging().ended() == 1; }));
  CHECK(world.StatusOf(world.Quick("balancer a", 1)).ok());
  CHECK(absl::IsDeadlineExceeded(world.StatusOf(hung)));
}

TEST_CASE("while a call that was given up on goes on, nothing else is done with its subject") {
  LanesWorld world;
  const uint64_t hung = world.Hang("provider x", 2, "i1");
  world.AwaitBegun(1);
  world.clock().Advance(kTimeLimit);
  REQUIRE(absl::IsDeadlineExceeded(world.StatusOf(hung)));
  CHECK(absl::IsAborted(world.StatusOf(world.Quick("provider x", 2, "i1"))));
  CHECK(world.StatusOf(world.Quick("provider x", 2, "i2")).ok());
  world.hanging().LetGo();
  CHECK(PollUntil(kPatience,
                  [&] { return world.StatusOf(world.Quick("provider x", 2, "i1")).ok(); }));
}

TEST_CASE("calls that never return take a bounded number of threads, and the lane says so") {
  LanesWorld world;
  std::vector<uint64_t> hung;
  for (int i = 0; i < Lanes::kStuckMax; ++i) {
    hung.push_back(world.Hang("provider x", 1));
    world.AwaitBegun(i + 1);
    world.clock().Advance(kTimeLimit);
    CHECK(absl::IsDeadlineExceeded(world.StatusOf(hung.back())));
  }
  for (int i = 0; i < 100; ++i) {
    const absl::Status refused = world.StatusOf(world.Quick("provider x", 1));
    CHECK(absl::IsAborted(refused));
    CHECK(refused.message() == "provider x: 4 calls have not returned in time");
  }
  CHECK(world.StatusOf(world.Quick("provider y")).ok());
  world.hanging().LetGo();
  REQUIRE(PollUntil(kPatience, [&] { return world.hanging().ended() == Lanes::kStuckMax; }));
  CHECK(PollUntil(kPatience, [&] { return world.StatusOf(world.Quick("provider x", 1)).ok(); }));
}

TEST_CASE("what waits behind calls that never return is refused when their lane closes") {
  LanesWorld world;
  for (int i = 0; i < Lanes::kStuckMax; ++i) world.Hang("provider x", Lanes::kStuckMax);
  world.AwaitBegun(Lanes::kStuckMax);
  const uint64_t waits = world.Quick("provider x", Lanes::kStuckMax);
  world.clock().Advance(kTimeLimit);
  CHECK(absl::IsAborted(world.StatusOf(waits)));
}

TEST_CASE("what waits goes together, as many as may, and each has its own result") {
  LanesWorld world;
  world.Hang("provider x", 1);
  world.AwaitBegun(1);
  std::vector<uint64_t> ids;
  std::vector<uint64_t> alone;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(world.HangTogether("provider x", 4, "i" + std::to_string(i)));
    alone.push_back(world.Quick("provider x", 1));
  }
  world.hanging().LetGo();
  for (const uint64_t id : ids) CHECK(world.StatusOf(id).message() == std::to_string(id));
  for (const uint64_t id : alone) CHECK(world.StatusOf(id).ok());
  CHECK(world.together() == std::vector<size_t>{4, 4, 2});
}

TEST_CASE("a call that does not return is given up on for all that went in it") {
  LanesWorld world;
  const uint64_t busy = world.Hang("provider x", 1);
  world.AwaitBegun(1);
  std::vector<uint64_t> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(world.HangTogether("provider x", 16, "i" + std::to_string(i)));
  }
  world.clock().Advance(kTimeLimit);
  CHECK(absl::IsDeadlineExceeded(world.StatusOf(busy)));
  world.AwaitBegun(2);
  CHECK(world.together() == std::vector<size_t>{10});
  for (const uint64_t id : ids) CHECK_FALSE(world.Done(id));
  world.clock().Advance(kTimeLimit);
  for (const uint64_t id : ids) CHECK(absl::IsDeadlineExceeded(world.StatusOf(id)));
  for (const char* subject : {"i0", "i9"}) {
    CHECK(absl::IsAborted(world.StatusOf(world.Quick("provider x", 1, subject))));
  }
  CHECK(world.StatusOf(world.Quick("provider x", 1, "i10")).ok());  // Two stuck calls, not 11.
  world.hanging().LetGo();
  for (const char* subject : {"i0", "i9"}) {
    CHECK(PollUntil(kPatience,
                    [&] { return world.StatusOf(world.Quick("provider x", 1, subject)).ok(); }));
  }
  for (const uint64_t id : ids) CHECK(absl::IsDeadlineExceeded(world.StatusOf(id)));
}

TEST_CASE("what waits to go with others can be cancelled alone") {
  LanesWorld world;
  world.Hang("provider x", 1);
  world.AwaitBegun(1);
  const uint64_t one = world.HangTogether("provider x", 16, "i1");
  const uint64_t two = world.HangTogether("provider x", 16, "i2");
  world.lanes().Cancel(one);
  CHECK(absl::IsCancelled(world.StatusOf(one)));
  world.hanging().LetGo();
  CHECK(absl::IsNotFound(world.StatusOf(two)));
  CHECK(world.together() == std::vector<size_t>{1});
}

TEST_CASE("once all workers hang, what comes waits for one of them") {
  LanesWorld world;
  for (size_t i = 0; i < Lanes::kWorkersMax; ++i) world.Hang("peer " + std::to_string(i), 1);
  world.AwaitBegun(Lanes::kWorkersMax);
  const uint64_t waits = world.Quick("peer");
  CHECK_FALSE(world.Done(waits));
  world.hanging().LetGo();
  CHECK(world.StatusOf(waits).ok());
}

TEST_CASE("many jobs in many lanes are each told once") {
  LanesWorld world;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(world.Quick("lane " + std::to_string(i % 37), 3));
  for (size_t i = 0; i < ids.size(); i += 3) world.lanes().Cancel(ids[i]);
  for (const uint64_t id : ids) {
    const absl::Status status = world.StatusOf(id);
    CHECK((status.ok() || absl::IsCancelled(status)));
  }
}

}  // namespace
}  // namespace shadow
