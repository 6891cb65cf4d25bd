// kill -9 of the daemon in each state of an instance's life: it converges, nothing is leaked or
// doubled, and no request fails.
#include <functional>

#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using I = v1::Instance;

// Slow enough to be caught in the middle: the start, the verification and the warm-up.
WorldOptions SlowWorld() {
  return {.shadow_flags = "--startup 500ms", .dna = R"(
            software {
              name: "slow" version: "1.0"
              verify_argv: ["/bin/sh", "-c", "sleep 0.3; echo 1.0"]
            }
            warm_up { requests: 20 })"};
}

// Kills the daemon as soon as Watch, begun before `act`, tells that a shadow instance is in
// `state`; what Watch tells is on disk.
void KillWhen(ShadowWorld& world, I::State state, const std::function<void()>& act) {
  const auto status = ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().server(), &v1::ServerService::Stub::GetServerStatus, {}));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + ShadowWorld::kPatience));
  v1::WatchRequest request;
  request.set_since_revision(status.revision());
  request.set_name_prefix("pools/web");
  const auto reader = world.daemon().events().Watch(&context, request);
  act();
  bool seen = false;
  v1::Event event;
  while (!seen && reader->Read(&event)) {
    seen = event.has_instance() && event.instance().role() == I::SHADOW &&
           event.instance().state() == state && event.kind() != v1::Event::DELETED;
  }
  world.daemon().Kill();
  context.TryCancel();
  while (reader->Read(&event)) {
  }
  reader->Finish().error_code();
  INFO(I::State_Name(state));
  REQUIRE(seen);
}

struct Crash {
  I::State state;
  enum class Act { kCreate, kActivate, kDeactivate, kDelete, kKillInstance } act;
  bool active_before;  // Else, unless it is created, suspended.
  S::State after;      // S::DELETING: gone.
};

void Prepare(ShadowWorld& world, const Crash& crash) {
  if (crash.act == Crash::Act::kCreate) return;
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  if (!crash.active_before) return;
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
}

void Do(ShadowWorld& world, Crash::Act act) {
  switch (act) {
    case Crash::Act::kCreate:
      return world.CreateShadow(2);
    case Crash::Act::kActivate:
      return world.Activate(100);
    case Crash::Act::kDeactivate:
      return world.Activate(0);
    case Crash::Act::kDelete:
      return world.DeleteShadow();
    case Crash::Act::kKillInstance:
      REQUIRE(kill(ShadowWorld::Pid(world.Instances(I::SHADOW, I::ACTIVE).front()), SIGKILL) == 0);
  }
}

void CrashAndConverge(const Crash& crash) {
  Tally tally("kill -9 in " + I::State_Name(crash.state), "kill");
  ShadowWorld world(SlowWorld());
  const InstanceProcesses base_processes = world.daemon().TaggedProcesses();
  HttpLoad load(world.Load());
  Prepare(world, crash);
  KillWhen(world, crash.state, [&] { Do(world, crash.act); });
  tally.Try();
  WaitForAnswers(load, 10);  // The instances serve without the daemon.
  world.daemon().Start();
  if (crash.after == S::DELETING) {
    world.WaitForNoShadow();
  } else {
    world.WaitForShadow(crash.after, crash.after == S::ACTIVE ? 2 : 0);
    CHECK(world.Shadow().target_instances() == 2);
  }
  CountLeaks(world, tally);
  CountEnded(world.daemon(), base_processes, tally);  // Adopted, not started anew.
  WaitForAnswers(load, 10);
  CountFailures(load, tally);
  FinishRow(world, tally);
}

TEST_CASE("kill -9 while an instance is CREATING") {
  CrashAndConverge({I::CREATING, Crash::Act::kCreate, false, S::SUSPENDED});
}

TEST_CASE("kill -9 while an instance is VERIFYING") {
  CrashAndConverge({I::VERIFYING, Crash::Act::kCreate, false, S::SUSPENDED});
}

TEST_CASE("kill -9 while an instance is SUSPENDING") {
  CrashAndConverge({I::SUSPENDING, Crash::Act::kCreate, false, S::SUSPENDED});
}

TEST_CASE("kill -9 while an instance is SUSPENDED") {
  CrashAndConverge({I::SUSPENDED, Crash::Act::kCreate, false, S::SUSPENDED});
}

TEST_CASE("kill -9 while an instance is RESUMING") {
  CrashAndConverge({I::RESUMING, Crash::Act::kActivate, false, S::ACTIVE});
}

TEST_CASE("kill -9 while an instance is WARMING") {
  CrashAndConverge({I::WARMING, Crash::Act::kActivate, false, S::ACTIVE});
}

TEST_CASE("kill -9 as an instance becomes ACTIVE") {
  CrashAndConverge({I::ACTIVE, Crash::Act::kActivate, false, S::ACTIVE});
}

TEST_CASE("kill -9 while an instance is DRAINING") {
  CrashAndConverge({I::DRAINING, Crash::Act::kDeactivate, true, S::SUSPENDED});
}

TEST_CASE("kill -9 while an instance is DELETING") {
  CrashAndConverge({I::DELETING, Crash::Act::kDelete, false, S::DELETING});
}

TEST_CASE("kill -9 as an instance is found FAILED") {
  CrashAndConverge({I::FAILED, Crash::Act::kKillInstance, true, S::ACTIVE});
}

}  // namespace
}  // namespace shadow
