// The main job: the whole life of a shadow on real processes, under real traffic.
#include "tests/e2e/shadow_world.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using I = v1::Instance;

TEST_CASE("a shadow lives its whole life under load and no request fails") {
  ShadowWorld world({.base_instances = 2});
  HttpLoad load(world.Load());
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  CHECK(world.Shadow().suspended_instances() == 2);
  world.ExpectNothingLeakedOrDoubled();
  const auto processes = world.daemon().TaggedProcesses();

  world.Activate(50);
  world.WaitForShadow(S::ACTIVE, 1);
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  world.ExpectNothingLeakedOrDoubled();
  CHECK(world.Balanced().size() == 4);
  WaitForAnswers(load, 20);

  world.Activate(0);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.ExpectNothingLeakedOrDoubled();
  CHECK(world.Balanced().size() == 2);
  WaitForAnswers(load, 20);

  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  // Woken, not started again.
  CHECK(world.daemon().TaggedProcesses() == processes);
  for (const I& instance : world.Instances(I::SHADOW)) {
    CHECK(instance.woken());
    CHECK(instance.has_first_serve_time());
  }
  WaitForAnswers(load, 20);

  world.DeleteShadow();
  world.WaitForNoShadow();
  world.ExpectNothingLeakedOrDoubled();
  const HttpLoad::Result result = ExpectNoFailure(load);
  CHECK(result.by_body.at("shadow") > 0);
  CHECK(result.by_body.at("base") > 0);
  world.Finish();
}

TEST_CASE("an active shadow instance that is killed under load is replaced and no GET fails") {
  ShadowWorld world;
  HttpLoad load(world.Load());
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  const I victim = world.Instances(I::SHADOW, I::ACTIVE).front();
  REQUIRE(kill(ShadowWorld::Pid(victim), SIGKILL) == 0);
  world.WaitFor("the victim is found dead and another one serves", [&] {
    const auto serving = world.Instances(I::SHADOW, I::ACTIVE);
    return serving.size() == 2 && std::none_of(serving.begin(), serving.end(), [&](const I& one) {
             return one.name() == victim.name();
           });
  });
  world.ExpectNothingLeakedOrDoubled();
  WaitForAnswers(load, 20);
  ExpectNoFailure(load);
  world.Finish();
}

TEST_CASE("SIGTERM leaves the instances running, exits 0, and the next start adopts them") {
  ShadowWorld world;
  HttpLoad load(world.Load());
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(50);
  world.WaitForShadow(S::ACTIVE, 1);
  const auto processes = world.daemon().TaggedProcesses();
  REQUIRE(processes.size() == 3);
  CHECK(world.daemon().Terminate() == 0);
  CHECK(world.daemon().TaggedProcesses() == processes);
  WaitForAnswers(load, 20);
  world.daemon().Start();
  world.WaitForShadow(S::ACTIVE, 1);
  CHECK(world.daemon().TaggedProcesses() == processes);
  world.ExpectNothingLeakedOrDoubled();
  WaitForAnswers(load, 20);
  ExpectNoFailure(load);
  world.Finish();
}

TEST_CASE("members come back after a restart of HAProxy") {
  ShadowWorld world;
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(50);
  world.WaitForShadow(S::ACTIVE, 1);
  const auto before = world.Balanced();
  REQUIRE(before.size() == 2);
  const auto processes = world.daemon().TaggedProcesses();
  world.haproxy().Restart();
  world.WaitFor("the members are back", [&] { return world.Balanced() == before; });
  CHECK(world.daemon().TaggedProcesses() == processes);
  HttpLoad load(world.Load());
  WaitForAnswers(load, 20);
  CHECK(ExpectNoFailure(load).by_body.size() == 2);
  world.Finish();
}

}  // namespace
}  // namespace shadow
