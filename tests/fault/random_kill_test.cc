// kill -9 at random instants, of the daemon and of instances, while changes, samples and requests
// of users come: nothing acknowledged is lost, nothing leaks, no user notices.
#include <array>

#include "tests/fakes/random_seed.h"
#include "tests/fault/changer.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

constexpr int kBase = 2;
constexpr std::chrono::milliseconds kPause{4};

void Wait(absl::Duration duration) {
  PollUntil(duration, [] { return false; });
}

class Killing {
 public:
  explicit Killing(uint64_t seed)
      : random_(seed),
        world_({.base_instances = kBase}),
        dnas_(seed + 1, world_.DnaSpec()),
        shadows_(seed + 2, world_),
        samples_(seed + 3, world_.daemon()),
        load_(world_.Load()) {}

  // One life of the daemon, and what is left of it.
  void Round() {
    DaemonProcess& daemon = world_.daemon();
    const int when = Draw(6);  // An instance dies before the daemon, after it, or not at all.
    {
      const Changer dnas(dnas_, daemon, kPause);
      const Changer shadows(shadows_, daemon, kPause);
      const Changer samples(samples_, daemon, kPause);
      Wait(absl::Milliseconds(Draw(500)));
      if (when == 0) KillInstance();
      if (when == 0) Wait(absl::Milliseconds(Draw(100)));
      daemon.Kill();
      tally_.Try();
    }
    if (when == 1) KillInstance();
    daemon.Start();
    for (Changes* changes : All()) tally_.Lose(changes->Lost(daemon));
    // Of the two that serve always, one serves whatever dies next.
    if (when <= 1) Settle();
  }

  void Finish() {
    Settle();
    CountFailures(load_, tally_);
    FinishRow(world_, tally_);
    tally_.Lose(samples_.LostIn(world_.daemon().state_dir()));
    int64_t tried = 0;
    int64_t acknowledged = 0;
    for (const Changes* changes : All()) {
      tried += changes->tried();
      acknowledged += changes->acknowledged();
      CHECK(changes->acknowledged() > 0);
    }
    tally_.Note(instances_killed_, "kills of instances");
    tally_.Note(tried, "changes");
    tally_.Note(acknowledged, "of them acknowledged");
  }

  void Rounds(int rounds) {
    while (tally_.tried() < rounds && tally_.clean()) Round();
    Finish();
  }

 private:
  // Every process has its instance, and every instance its process.
  void Settle() {
    world_.WaitForBase();  // Else the last one that serves may be the next to die.
    INFO("round " << tally_.tried());
    CountLeaks(world_, tally_);
  }

  int Draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  std::array<Changes*, 3> All() { return {&dnas_, &shadows_, &samples_}; }

  // Any that lives, in whatever state.
  void KillInstance() {
    std::vector<pid_t> pids;
    for (const auto& [id, processes] : world_.daemon().TaggedProcesses()) {
      pids.insert(pids.end(), processes.begin(), processes.end());
    }
    if (pids.empty()) return;
    kill(pids[static_cast<size_t>(Draw(static_cast<int>(pids.size())))], SIGKILL);
    ++instances_killed_;
  }

  Tally tally_{"kill -9", "kills"};
  std::mt19937_64 random_;
  ShadowWorld world_;
  DnaChanges dnas_;
  ShadowChanges shadows_;
  SampleChanges samples_;
  HttpLoad load_;
  int instances_killed_ = 0;
};

TEST_CASE("50 kills at random instants lose nothing and no user notices") {
  Killing(RandomSeed()).Rounds(50);
}

TEST_CASE("500 kills at random instants lose nothing and no user notices", "[.long]") {
  Killing(RandomSeed()).Rounds(500);
}

}  // namespace
}  // namespace shadow
