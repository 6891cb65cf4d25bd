// What every Provider keeps to; the fake and the real ones pass the same cases.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "server/core/verify.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

using Depth = Provider::Depth;
using Stop = Provider::Stop;

std::vector<std::string> Listed(Provider& provider) {
  const auto all = provider.List();
  REQUIRE(all.ok());
  std::vector<std::string> ids;
  for (const Observation& seen : *all) ids.push_back(seen.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEMPLATE_TEST_CASE("a provider creates an instance once", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(provider.Supports(*instance.dna).ok());
  REQUIRE(provider.Create(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const Observation first = Look(provider, instance);
  CHECK(first.id == "a1");
  CHECK(first.address.starts_with("127.0.0.1:"));
  CHECK_FALSE(first.handle.empty());
  CHECK_FALSE(first.facts.has_value());

  REQUIRE(provider.Create(instance).ok());
  CHECK(Look(provider, instance).handle == first.handle);
  CHECK(Listed(provider) == std::vector<std::string>{"a1"});
}

TEMPLATE_TEST_CASE("instances have different addresses", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec one = TestInstance("a1", world.Dna());
  const InstanceSpec two = TestInstance("a2", world.Dna());
  REQUIRE(provider.Create(one).ok());
  REQUIRE(provider.Create(two).ok());
  REQUIRE(Becomes(provider, one, Life::kRunning));
  REQUIRE(Becomes(provider, two, Life::kRunning));
  CHECK(Look(provider, one).address != Look(provider, two).address);
  CHECK(Listed(provider) == std::vector<std::string>{"a1", "a2"});
}

TEMPLATE_TEST_CASE("suspend and resume are idempotent", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(provider.Create(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  REQUIRE(provider.Resume(instance).ok());
  REQUIRE(provider.Suspend(instance).ok());
  REQUIRE(provider.Suspend(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kSuspended));
  REQUIRE(provider.Resume(instance).ok());
  REQUIRE(provider.Resume(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
}

TEMPLATE_TEST_CASE("an absent instance is no error to look at or to destroy", "", FakeWorld,
                   ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const Observation seen = Look(provider, instance);
  CHECK(seen.id == "a1");
  CHECK(seen.life == Life::kAbsent);
  CHECK(provider.Destroy(instance, Stop::kGraceful).ok());
  CHECK(provider.Destroy(instance, Stop::kForce).ok());
  CHECK(absl::IsNotFound(provider.Suspend(instance)));
  CHECK(absl::IsNotFound(provider.Resume(instance)));
  CHECK(Listed(provider).empty());
}

TEMPLATE_TEST_CASE("destroy ends an instance in any state", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const auto stop = GENERATE(Stop::kGraceful, Stop::kForce);
  const bool suspended = GENERATE(false, true);
  REQUIRE(provider.Create(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  if (suspended) REQUIRE(provider.Suspend(instance).ok());
  REQUIRE(provider.Destroy(instance, stop).ok());
  CHECK(provider.Destroy(instance, stop).ok());
  CHECK(Becomes(provider, instance, Life::kAbsent));
  CHECK(provider.Destroy(instance, stop).ok());
  CHECK(Listed(provider).empty());
  CHECK(absl::IsNotFound(provider.Suspend(instance)));
}

TEMPLATE_TEST_CASE("instances outlive the provider that made them", "", FakeWorld, ProcessWorld) {
  TestType world;
  const InstanceSpec running = TestInstance("a1", world.Dna());
  const InstanceSpec suspended = TestInstance("a2", world.Dna());
  REQUIRE(world.provider().Create(running).ok());
  REQUIRE(world.provider().Create(suspended).ok());
  REQUIRE(Becomes(world.provider(), suspended, Life::kRunning));
  REQUIRE(world.provider().Suspend(suspended).ok());
  const Observation before = Look(world.provider(), suspended);

  Provider& next = world.Reopen();
  CHECK(Listed(next) == std::vector<std::string>{"a1", "a2"});
  CHECK(Becomes(next, running, Life::kRunning));
  CHECK(Look(next, suspended).life == Life::kSuspended);
  CHECK(Look(next, suspended).handle == before.handle);
  CHECK(Look(next, suspended).address == before.address);
  REQUIRE(next.Create(running).ok());
  CHECK(Listed(next).size() == 2);
  REQUIRE(next.Resume(suspended).ok());
  CHECK(Becomes(next, suspended, Life::kRunning));
}

TEMPLATE_TEST_CASE("many instances can be worked on at once", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  constexpr int kThreads = 6;
  constexpr int kRounds = 3;
  std::atomic<int> failures = 0;
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < kRounds; ++round) {
        const InstanceSpec instance =
            TestInstance("t" + std::to_string(thread) + "r" + std::to_string(round), world.Dna());
        const auto gone = [&] {
          const auto seen = provider.Inspect(instance, Depth::kLife);
          return seen.ok() && seen->life == Life::kAbsent;
        };
        const bool good = provider.Create(instance).ok() && provider.Suspend(instance).ok() &&
                          provider.Resume(instance).ok() &&
                          provider.Destroy(instance, Stop::kForce).ok() &&
                          PollUntil(kPatience, gone);
        if (!good) ++failures;
      }
    });
  }
  std::jthread lister([&] {
    while (!done) {
      const auto all = provider.List();
      if (!all.ok()) {
        ++failures;
        continue;
      }
      // What is being worked on is never taken for something that ended by itself.
      for (const Observation& seen : *all) failures += seen.life == Life::kExited ? 1 : 0;
    }
  });
  threads.clear();
  done = true;
  lister.join();
  CHECK(failures == 0);
  CHECK(Listed(provider).empty());
}

TEMPLATE_TEST_CASE("connections alone are known at once, and nothing else", "", FakeWorld,
                   ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const auto absent = provider.Inspect(instance, Depth::kConnections);
  REQUIRE(absent.ok());
  CHECK_FALSE(absent->facts.has_value());
  REQUIRE(provider.Create(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const auto seen = provider.Inspect(instance, Depth::kConnections);
  REQUIRE(seen.ok());
  REQUIRE(seen->facts.has_value());
  CHECK(seen->facts->connections.empty());
  CHECK(seen->facts->os_id.empty());
}

TEMPLATE_TEST_CASE("facts match the DNA they were made from", "", FakeWorld, ProcessWorld) {
  TestType world;
  Provider& provider = world.provider();
  CompiledDna dna = world.Dna();
  dna.dna.mutable_security()->set_no_new_privileges(true);
  dna.dna.mutable_resources()->set_open_files_max(64);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(provider.Create(instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const auto facts = FactsOf(provider, instance);
  REQUIRE(facts.has_value());
  CHECK(Differences(dna, *facts) == std::vector<std::string>{});
  // They can be asked for again, also while it is suspended.
  REQUIRE(provider.Suspend(instance).ok());
  CHECK(FactsOf(provider, instance).has_value());
}

}  // namespace
}  // namespace shadow
