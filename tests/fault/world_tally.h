// What a row of the fault matrix counts in a ShadowWorld.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/e2e/shadow_world.h"
#include "tests/fault/tally.h"

namespace shadow {

using InstanceProcesses = std::map<std::string, std::set<pid_t>>;  // By id of the instance.

// Those of `before` that do not live as the same processes any more are lost.
inline void CountEnded(const DaemonProcess& daemon, const InstanceProcesses& before, Tally& tally) {
  const InstanceProcesses now = daemon.TaggedProcesses();
  for (const auto& [id, pids] : before) {
    INFO(id);
    const auto found = now.find(id);
    const bool lives = found != now.end() && found->second == pids;
    CHECK(lives);
    tally.Lose(lives ? 0 : 1);
  }
}

// Waits until every process has its instance, and HAProxy the members that serve.
inline void CountLeaks(ShadowWorld& world, Tally& tally) {
  const bool settled =
      PollUntil(ShadowWorld::kPatience, [&world] { return world.Mismatch().empty(); });
  INFO(world.Mismatch());
  CHECK(settled);
  tally.Leak(settled ? 0 : 1);
}

// Ends the load; each request that was not answered well has failed.
inline void CountFailures(HttpLoad& load, Tally& tally) {
  const HttpLoad::Result result = ExpectNoFailure(load);
  tally.Fail(result.failed);
  tally.Note(result.ok + result.failed, "requests of users");
}

// Deletes everything through the API; what is left has leaked.
inline void FinishRow(ShadowWorld& world, Tally& tally) {
  world.Finish();
  tally.Leak(std::ssize(world.daemon().TaggedProcesses()));
}

}  // namespace shadow
