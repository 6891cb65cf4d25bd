// System calls of the process provider fail: each look is complete or an error, so no instance is
// ended or doubled because of it, and all goes on afterwards. Or they never return, and the daemon
// ends without them.
#include <cerrno>
#include <filesystem>
#include <iterator>

#include "tests/fault/failing_calls/faults.h"
#include "tests/fault/preloaded.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

// A directory with a shadowd whose calls fail as told.
class FailingCalls {
 public:
  const std::string& bin_dir() const { return preloaded_.bin_dir(); }

  void Begin(uint64_t calls, int error, int64_t every) {
    preloaded_.shared().error = error;
    preloaded_.shared().every = every;
    preloaded_.shared().calls = calls;
  }
  void End() { preloaded_.shared().calls = 0; }
  int64_t refused() const { return preloaded_.shared().refused; }

 private:
  Preloaded<Faults> preloaded_{SHADOW_FAILING_CALLS, kFaultsVariable};
};

struct Row {
  std::string what;
  uint64_t calls;
  int error;
  int64_t every;  // Each so many-th.
  bool wakes;     // Instances are woken and suspended meanwhile.
  bool creates;   // One is created meanwhile.
};

// Creations that fail are put off longer each time, until one has been woken: rows of both kinds in
// turn.
const std::vector<Row>& Rows() {
  static const std::vector<Row> kRows = {
      {"no descriptor for a look", Faults::kOpen, EMFILE, 1, true, false},
      {"no descriptor while one is made", Faults::kOpen, EMFILE, 3, false, true},
      {"no memory for some looks", Faults::kOpen, ENOMEM, 211, true, false},
      {"a quota", Faults::kWrite, EDQUOT, 1, false, true},
      {"a file that is opened and not read", Faults::kRead, EIO, 1, true, false},
      {"a record that gets no name", Faults::kRename, EIO, 1, false, true},
      {"a full disk", Faults::kWrite, ENOSPC, 2, true, false},
      {"a record that is not synced", Faults::kSync, EIO, 2, false, true},
      {"some that are not read", Faults::kRead, EIO, 173, true, false},
      {"no process", Faults::kFork, EAGAIN, 1, false, true},
  };
  return kRows;
}

// Of the store too: its changes are acknowledged late, or not.
const std::vector<Row>& FurtherRows() {
  static const std::vector<Row> kRows = {
      {"a directory that is not read to its end", Faults::kList, EIO, 2, true, false},
      {"no pipe", Faults::kPipe, EMFILE, 2, false, true},
      {"no pidfd", Faults::kPidfd, EMFILE, 2, true, false},
      {"no socket", Faults::kSocket, EMFILE, 2, false, true},
      {"reads and writes that move half", Faults::kRead | Faults::kWrite, Faults::kShort, 1, true,
       true},
      {"no memory to wait", Faults::kPoll, ENOMEM, 3, true, false},
      {"files that are not removed or looked at", Faults::kUnlink | Faults::kStat, EIO, 2, false,
       true},
      {"a store that moves half", Faults::OfStore(Faults::kRead) | Faults::OfStore(Faults::kWrite),
       Faults::kShort, 2, true, true},
      {"a store that now and then fails",
       Faults::OfStore(Faults::kWrite) | Faults::OfStore(Faults::kSync), EIO, 23, true, false},
  };
  return kRows;
}

absl::Status TrySetInstances(ShadowWorld& world, int instances) {
  v1::UpdateShadowPoolRequest request;
  request.mutable_shadow_pool()->set_name(world.Shadow().name());
  request.mutable_shadow_pool()->set_target_instances(instances);
  return DaemonProcess::Call(world.daemon().shadows(),
                             &v1::ShadowPoolService::Stub::UpdateShadowPool, request)
      .status();
}

void SetInstances(ShadowWorld& world, int instances) {
  REQUIRE(TrySetInstances(world, instances).ok());
}

bool HasSuspended(ShadowWorld& world, int instances) {
  const auto shadow = world.FindShadow();
  return shadow && shadow->suspended_instances() == instances &&
         world.Instances(v1::Instance::SHADOW, v1::Instance::DELETING).empty();
}

class Failing {
 public:
  explicit Failing(const std::string& row)
      : tally_(row, "calls"), world_({.haproxy = false, .bin_dir = calls_.bin_dir()}) {
    world_.CreateShadow(2);
    world_.WaitForShadow(S::SUSPENDED, 0);
    living_ = world_.daemon().TaggedProcesses();
    REQUIRE(living_.size() == 3);
  }

  void Live(const Row& row) {
    INFO(row.what);
    const int64_t before = calls_.refused();
    const int64_t descriptors = DescriptorsOf(world_.daemon());
    if (row.wakes) {
      Activate(row, 100, S::ACTIVE, 2);
      Activate(row, 0, S::SUSPENDED, 0);
      CHECK(world_.daemon().TaggedProcesses() == living_);
    }
    if (row.creates) {
      Resize(row, 3);
      CountThemAll();
      Resize(row, 2);
    }
    CountLeaks(world_, tally_);
    CountThemAll();
    CHECK(calls_.refused() > before);
    tally_.Try(calls_.refused() - before);
    // Connections of gRPC, readers of the store and looks that are under way come and go.
    if (!PollUntil(kPatience, [&] {
          return DescriptorsOf(world_.daemon()) <= descriptors + kDescriptorsInUse;
        })) {
      tally_.Leak(1);
    }
  }

  void Finish() { FinishRow(world_, tally_); }

 private:
  static constexpr absl::Duration kFailing = absl::Milliseconds(1200);

  // `condition` may come to hold while calls fail, and does when they no longer do.
  template <typename F>
  void Meanwhile(const Row& row, F condition) {
    PollUntil(kFailing, condition);
    CountThemAll();
    calls_.End();
    world_.WaitFor(row.what + " is over", condition);
  }

  void Activate(const Row& row, int level, S::State state, int serving) {
    calls_.Begin(row.calls, row.error, row.every);
    world_.Activate(level);
    Meanwhile(row, [&] {
      const auto shadow = world_.FindShadow();
      return shadow && shadow->state() == state && shadow->serving_instances() == serving;
    });
  }

  void Resize(const Row& row, int instances) {
    calls_.Begin(row.calls, row.error, row.every);
    SetInstances(world_, instances);
    Meanwhile(row, [&] { return HasSuspended(world_, instances); });
  }

  static constexpr int64_t kDescriptorsInUse = 8;

  static int64_t DescriptorsOf(const DaemonProcess& daemon) {
    const std::filesystem::directory_iterator files("/proc/" + std::to_string(daemon.pid()) +
                                                    "/fd");
    return std::distance(begin(files), end(files));
  }

  // Those that were there at the beginning.
  void CountThemAll() { CountEnded(world_.daemon(), living_, tally_); }

  Tally tally_;
  FailingCalls calls_;  // Before the world, whose daemon is there.
  ShadowWorld world_;
  InstanceProcesses living_;
};

TEST_CASE("where system calls of the provider fail, no instance is ended or doubled by it") {
  Failing failing("daemon, calls of its provider");
  for (const Row& row : Rows()) failing.Live(row);
  failing.Finish();
}

TEST_CASE("where further system calls fail, of the store too, nothing is lost or doubled by it") {
  Failing failing("daemon, further calls");
  for (const Row& row : FurtherRows()) failing.Live(row);
  failing.Finish();
}

TEST_CASE("a start that cannot list what lives begins nothing and asks to be tried again") {
  Tally tally("start without a list", "start");
  FailingCalls calls;
  ShadowWorld world({.haproxy = false, .bin_dir = calls.bin_dir()});
  DaemonProcess& daemon = world.daemon();
  const InstanceProcesses living = daemon.TaggedProcesses();
  daemon.Kill();
  calls.Begin(Faults::kOpen, EIO, 2);
  CHECK(daemon.StartInVain() == 1);
  tally.Try();
  CHECK(daemon.Log().find("the instances cannot be listed") != std::string::npos);
  CountEnded(daemon, living, tally);

  calls.End();
  daemon.Start();
  world.WaitForBase();
  CountEnded(daemon, living, tally);
  CountLeaks(world, tally);
  FinishRow(world, tally);
}

TEST_CASE("a call that never returns keeps no daemon from ending, and nothing is lost by it") {
  Tally tally("call that hangs", "ends within one");
  FailingCalls calls;
  ShadowWorld world({.haproxy = false, .bin_dir = calls.bin_dir()});
  DaemonProcess& daemon = world.daemon();
  int instances = 2;
  world.CreateShadow(instances);
  world.WaitForShadow(S::SUSPENDED, 0);
  const InstanceProcesses living = daemon.TaggedProcesses();
  REQUIRE(living.size() == 3);
  // All looks, and one creation whose process is there and may not run yet.
  for (const uint64_t call : {Faults::kOpen, Faults::kSync}) {
    INFO("call " << call);
    const int64_t before = calls.refused();
    const size_t logged = daemon.Log().size();
    calls.Begin(call, Faults::kNeverReturns, 1);
    SetInstances(world, ++instances);
    world.WaitFor("a call hangs", [&] { return calls.refused() > before; });
    CHECK(daemon.Terminate() == 0);  // Within kStopTimeout.
    tally.Try();
    CHECK(daemon.Log().find("has not returned within 10s", logged) != std::string::npos);
    CountEnded(daemon, living, tally);

    calls.End();
    daemon.Start();
    world.WaitFor("what was asked for", [&] { return HasSuspended(world, instances); });
    CountLeaks(world, tally);
    CountEnded(daemon, living, tally);
  }
  FinishRow(world, tally);
}

TEST_CASE("a daemon whose store fails does not end as if all were well where a call hangs") {
  Tally tally("store fails while a call hangs", "end");
  FailingCalls calls;
  ShadowWorld world({.haproxy = false, .bin_dir = calls.bin_dir()});
  DaemonProcess& daemon = world.daemon();
  world.CreateShadow(1);
  world.WaitForShadow(S::SUSPENDED, 0);
  const InstanceProcesses living = daemon.TaggedProcesses();
  calls.Begin(Faults::kOpen, Faults::kNeverReturns, 1);
  world.WaitFor("a call hangs", [&] { return calls.refused() > 0; });
  calls.Begin(Faults::OfStore(Faults::kSync), EIO, 1);
  CHECK(absl::IsUnavailable(TrySetInstances(world, 2)));
  world.WaitFor("it gives up", [&] {
    return daemon.Log().find("the store failed, shadowd ends") != std::string::npos;
  });
  CHECK(daemon.Terminate() == 1);  // systemd starts it again.
  tally.Try();

  calls.End();
  daemon.Start();
  world.WaitForBase();
  CountEnded(daemon, living, tally);
  FinishRow(world, tally);
}

}  // namespace
}  // namespace shadow
