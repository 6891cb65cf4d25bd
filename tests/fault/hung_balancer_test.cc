// A HAProxy that takes connections and answers none: its pools wait, and nobody else.
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

constexpr int kHungPools = 12;

// A backend for each pool: "hung0" and so on.
HaproxyProcess::Options Backends() {
  HaproxyProcess::Options options;
  for (int i = 0; i < kHungPools; ++i) {
    options.more += "backend hung" + std::to_string(i) +
                    "\n"
                    "  server-template slot 1-2 127.0.0.1:9 weight 100 check disabled\n";
  }
  return options;
}

void CreateHungPools(ShadowWorld& world, const HaproxyProcess& hung) {
  for (int i = 0; i < kHungPools; ++i) {
    v1::CreatePoolRequest request;
    v1::Pool& pool = *request.mutable_pool();
    pool = world.PoolSpec();
    const std::string id = "hung" + std::to_string(i);
    pool.set_name("pools/" + id);
    pool.set_external_capacity(10);
    pool.mutable_balancer()->mutable_haproxy()->set_socket_path(hung.socket_path());
    pool.mutable_balancer()->mutable_haproxy()->set_backend(id);
    pool.clear_usage_sources();
    v1::HaproxyUsage& usage = *pool.add_usage_sources()->mutable_haproxy();
    usage.set_socket_path(hung.socket_path());
    usage.set_frontend("front");
    ShadowWorld::Must(
        DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::CreatePool, request));
  }
}

// Of the pool "hung0".
v1::Condition ConditionOf(ShadowWorld& world, const std::string& type) {
  v1::GetPoolRequest request;
  request.set_name("pools/hung0");
  const auto pool =
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::GetPool, request);
  if (!pool.ok()) return {};
  for (const v1::Condition& condition : pool->conditions()) {
    if (condition.type() == type) return condition;
  }
  return {};
}

// What an activation and a suspension of the pool "web" take.
absl::Duration Round(ShadowWorld& world) {
  const SystemClock clock;
  const absl::Duration begin = clock.Now().mono;
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  world.Activate(0);
  world.WaitForShadow(S::SUSPENDED, 0);
  return clock.Now().mono - begin;
}

TEST_CASE("a HAProxy that hangs holds up no pool of another one, and is reported") {
  Tally tally("hung balancer", "activations beside it");
  ShadowWorld world;
  HaproxyProcess hung(Backends());
  CreateHungPools(world, hung);
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  const auto reachable = [&] { return ConditionOf(world, "BalancerReachable").status(); };
  world.WaitFor("it answers", [&] { return reachable() == v1::Condition::TRUE; });
  const absl::Duration alone = Round(world);
  const InstanceProcesses living = world.daemon().TaggedProcesses();
  HttpLoad load(world.Load());
  hung.Pause();
  world.WaitFor("it is missed", [&] { return reachable() == v1::Condition::FALSE; });
  CHECK(ConditionOf(world, "BalancerReachable").reason() == "Unavailable");

  // Behind the calls to the one that hangs it was 40 s and more.
  for (int round = 0; round < 3; ++round) {
    tally.Try();
    tally.Fail(Round(world) < 2 * alone + absl::Seconds(8) ? 0 : 1);
  }
  hung.Continue();
  world.WaitFor("it answers again", [&] { return reachable() == v1::Condition::TRUE; });
  CountEnded(world.daemon(), living, tally);
  CountLeaks(world, tally);
  CountFailures(load, tally);
  FinishRow(world, tally);
}

}  // namespace
}  // namespace shadow
