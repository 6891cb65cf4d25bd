// What every Provider keeps to; the fake and the real ones pass the same cases.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>

#include "server/core/error.h"
#include "tests/server/providers/kubernetes_world.h"
#include "tests/server/providers/provider_world.h"
#include "tests/server/providers/systemd_world.h"

namespace shadow {
namespace {

// A new provider is one more here. One that never tells of changes passes by kTells = false.
#ifdef SHADOW_USER_UNITS
using Worlds = std::tuple<UserUnitsWorld>;  // Where there is one (tests/host).
#else
using Worlds = std::tuple<FakeWorld, ProcessWorld, FakeUnitsWorld, KubernetesWorld>;
#endif

std::vector<std::string> Listed(Provider& provider) {
  const auto all = provider.List();
  REQUIRE(all.ok());
  std::vector<std::string> ids;
  for (const Observation& seen : *all) ids.push_back(seen.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEMPLATE_LIST_TEST_CASE("a provider creates an instance once", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(provider.Supports(*instance.dna).ok());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const Observation first = Look(provider, instance);
  CHECK(first.id == "a1");
  CHECK(first.address.starts_with("127.0."));
  CHECK_FALSE(first.handle.empty());

  REQUIRE(Create(provider, instance).ok());
  CHECK(Look(provider, instance).handle == first.handle);
  CHECK(Listed(provider) == std::vector<std::string>{"a1"});
}

TEMPLATE_LIST_TEST_CASE("instances have different addresses", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec one = TestInstance("a1", world.Dna());
  const InstanceSpec two = TestInstance("a2", world.Dna());
  REQUIRE(Create(provider, one).ok());
  REQUIRE(Create(provider, two).ok());
  REQUIRE(Becomes(provider, one, Life::kRunning));
  REQUIRE(Becomes(provider, two, Life::kRunning));
  CHECK(Look(provider, one).address != Look(provider, two).address);
  CHECK(Listed(provider) == std::vector<std::string>{"a1", "a2"});
}

TEMPLATE_LIST_TEST_CASE("suspend and resume are idempotent", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  REQUIRE(Resume(provider, instance).ok());
  REQUIRE(Suspend(provider, instance).ok());
  REQUIRE(Suspend(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kSuspended));
  REQUIRE(Resume(provider, instance).ok());
  REQUIRE(Resume(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
}

TEMPLATE_LIST_TEST_CASE("an absent instance is no error to look at or to destroy", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const Observation seen = Look(provider, instance);
  CHECK(seen.id == "a1");
  CHECK(seen.life == Life::kAbsent);
  CHECK(Destroy(provider, instance).ok());
  CHECK(Kill(provider, instance).ok());
  CHECK(absl::IsNotFound(Suspend(provider, instance)));
  CHECK(absl::IsNotFound(Resume(provider, instance)));
  CHECK(Listed(provider).empty());
}

TEMPLATE_LIST_TEST_CASE("destroy ends an instance in any state", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const auto stop = GENERATE(InstanceOp::Kind::kDestroy, InstanceOp::Kind::kKill);
  const bool suspended = GENERATE(false, true);
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  if (suspended) REQUIRE(Suspend(provider, instance).ok());
  REQUIRE(provider.ApplyOne(stop, instance).ok());
  CHECK(provider.ApplyOne(stop, instance).ok());
  CHECK(Becomes(provider, instance, Life::kAbsent));
  CHECK(provider.ApplyOne(stop, instance).ok());
  CHECK(Listed(provider).empty());
  CHECK(absl::IsNotFound(Suspend(provider, instance)));
}

TEMPLATE_LIST_TEST_CASE("instances outlive the provider that made them", "", Worlds) {
  TestType world;
  const InstanceSpec running = TestInstance("a1", world.Dna());
  const InstanceSpec suspended = TestInstance("a2", world.Dna());
  REQUIRE(Create(world.provider(), running).ok());
  REQUIRE(Create(world.provider(), suspended).ok());
  REQUIRE(Becomes(world.provider(), suspended, Life::kRunning));
  REQUIRE(Suspend(world.provider(), suspended).ok());
  const Observation before = Look(world.provider(), suspended);

  Provider& next = world.Reopen();
  CHECK(Listed(next) == std::vector<std::string>{"a1", "a2"});
  CHECK(Becomes(next, running, Life::kRunning));
  CHECK(Look(next, suspended).life == Life::kSuspended);
  CHECK(Look(next, suspended).handle == before.handle);
  CHECK(Look(next, suspended).address == before.address);
  REQUIRE(Create(next, running).ok());
  CHECK(Listed(next).size() == 2);
  REQUIRE(Resume(next, suspended).ok());
  CHECK(Becomes(next, suspended, Life::kRunning));
}

TEMPLATE_LIST_TEST_CASE("an instance names the epoch of the store that has made it", "", Worlds) {
  TestType world;
  const std::string first = world.Epoch();
  const InstanceSpec before = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), before).ok());
  ++world.epoch;
  Provider& next = world.Reopen();
  const InstanceSpec after = TestInstance("a2", world.Dna());
  REQUIRE(Create(next, after).ok());
  REQUIRE(Becomes(next, before, Life::kRunning));
  REQUIRE(Becomes(next, after, Life::kRunning));
  REQUIRE(Suspend(next, before).ok());  // Whatever is written of it.
  REQUIRE(first != world.Epoch());
  CHECK(Look(next, before).epoch == first);
  CHECK(Look(next, after).epoch == world.Epoch());
  const auto all = next.List();
  REQUIRE(all.ok());
  for (const Observation& seen : *all) {
    CHECK(seen.epoch == (seen.id == "a1" ? first : world.Epoch()));
  }
}

TEMPLATE_LIST_TEST_CASE("many instances can be worked on at once", "", Worlds) {
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
          const auto seen = provider.Inspect(instance);
          return seen.ok() && seen->life == Life::kAbsent;
        };
        const bool good = Create(provider, instance).ok() && Suspend(provider, instance).ok() &&
                          Resume(provider, instance).ok() && Kill(provider, instance).ok() &&
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

TEMPLATE_LIST_TEST_CASE("connections alone are known at once", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  CHECK(absl::IsNotFound(provider.Verify(instance, Provider::Part::kConnections).status()));
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const auto missing = provider.Verify(instance, Provider::Part::kConnections);
  REQUIRE(missing.ok());
  REQUIRE(missing->has_value());
  CHECK((*missing)->empty());
}

TEMPLATE_LIST_TEST_CASE("an instance is what the DNA says that it was made from", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.LimitedDna());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  CHECK(Verified(provider, instance) == Provider::Differences{});
  // It can be asked for again, also while it is suspended.
  REQUIRE(Suspend(provider, instance).ok());
  CHECK(Verified(provider, instance) == Provider::Differences{});
}

TEMPLATE_LIST_TEST_CASE("what does not run is not compared with its DNA", "", Worlds) {
  TestType world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  const auto part = GENERATE(Provider::Part::kEverything, Provider::Part::kConnections);
  CHECK(absl::IsNotFound(world.provider().Verify(instance, part).status()));
}

TEMPLATE_LIST_TEST_CASE("operations that go together each have their status, in order", "",
                        Worlds) {
  using Kind = InstanceOp::Kind;
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec one = TestInstance("a1", world.Dna());
  const InstanceSpec two = TestInstance("a2", world.Dna());
  const InstanceSpec nobody = TestInstance("a3", world.Dna());
  const std::vector<InstanceOp> operations = {
      {.kind = Kind::kCreate, .instance = one},
      {.kind = Kind::kSuspend, .instance = nobody},
      {.kind = Kind::kCreate, .instance = two},
  };
  const std::vector<absl::Status> done = provider.Apply(operations);
  REQUIRE(done.size() == 3);
  CHECK(done[0].ok());
  CHECK(absl::IsNotFound(done[1]));
  CHECK(done[2].ok());
  CHECK(Listed(provider) == std::vector<std::string>{"a1", "a2"});
  CHECK(provider.Apply({}).empty());
}

TEMPLATE_LIST_TEST_CASE("who listens to a provider hears of an instance that has ended", "",
                        Worlds) {
  if (!TestType::kTells) return;
  Heard heard;  // Outlives the provider.
  TestType world;
  Provider& provider = world.provider();
  provider.Listen(heard.Listener());
  const InstanceSpec ends = TestInstance("a1", world.Dna());
  const InstanceSpec lives = TestInstance("a2", world.Dna());
  for (const InstanceSpec& instance : {ends, lives}) {
    REQUIRE(Create(provider, instance).ok());
    REQUIRE(Becomes(provider, instance, Life::kRunning));
  }
  world.End(ends);
  CHECK(PollUntil(kPatience, [&] { return heard.ids().contains("a1"); }));
  CHECK(Becomes(provider, ends, Life::kExited));
  CHECK(Look(provider, lives).life == Life::kRunning);
}

TEMPLATE_LIST_TEST_CASE("of who is to be ended the id is enough", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const InstanceSpec known{.id = "a1", .name = "", .pool = "", .shadow = "", .dna = nullptr};
  REQUIRE(Kill(provider, known).ok());
  CHECK(Becomes(provider, known, Life::kAbsent));
  CHECK(Listed(provider).empty());
}

bool HasEndReason(const Observation& seen, const std::string& reason) {
  return seen.life == Life::kExited && seen.exit_reason.starts_with(reason);
}

TEMPLATE_LIST_TEST_CASE("what has ended by itself says why until it is destroyed", "", Worlds) {
  TestType world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kRunning));
  CHECK(Look(world.provider(), instance).exit_reason.empty());
  world.End(instance);
  REQUIRE(PollUntil(kPatience, [&] {
    return HasEndReason(Look(world.provider(), instance), TestType::kEndReason);
  }));

  Provider& next = world.Reopen();
  CHECK(HasEndReason(Look(next, instance), TestType::kEndReason));
  const auto all = next.List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  CHECK(HasEndReason(all->front(), TestType::kEndReason));
  CHECK(absl::IsNotFound(Suspend(next, instance)));
  CHECK(absl::IsNotFound(Resume(next, instance)));
  CHECK(absl::IsNotFound(next.Verify(instance, Provider::Part::kEverything).status()));
  REQUIRE(Create(next, instance).ok());  // It is there already.
  CHECK(Look(next, instance).life == Life::kExited);

  REQUIRE(Destroy(next, instance).ok());
  REQUIRE(Becomes(next, instance, Life::kAbsent));
  CHECK(Look(next, instance).exit_reason.empty());
  CHECK(Listed(next).empty());
}

TEMPLATE_LIST_TEST_CASE("a DNA that cannot be enforced is refused by its field", "", Worlds) {
  TestType world;
  Provider& provider = world.provider();
  CompiledDna dna = world.Dna();
  CHECK(provider.Supports(dna).ok());
  dna.dna.mutable_operating_system()->set_image("debian");
  dna.dna.mutable_operating_system()->clear_image_digest();
  const InstanceSpec instance = TestInstance("a1", dna);
  for (const absl::Status& refused : {provider.Supports(dna), Create(provider, instance)}) {
    CHECK(absl::IsFailedPrecondition(refused));
    CHECK(ErrorField(refused) == "dna.operating_system.image");
  }
  CHECK(Look(provider, instance).life == Life::kAbsent);
  CHECK(Listed(provider).empty());
}

TEMPLATE_LIST_TEST_CASE("without room for one more there is none, until another is gone", "",
                        Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const CompiledDna dna = world.ScarceDna();
  const InstanceSpec one = TestInstance("a1", dna);
  const InstanceSpec two = TestInstance("a2", dna);
  REQUIRE(Create(provider, one).ok());
  CHECK(absl::IsResourceExhausted(Create(provider, two)));
  CHECK(Look(provider, two).life == Life::kAbsent);
  CHECK(Listed(provider) == std::vector<std::string>{"a1"});
  CHECK(Create(provider, one).ok());
  REQUIRE(Kill(provider, one).ok());
  REQUIRE(Becomes(provider, one, Life::kAbsent));
  CHECK(Create(provider, two).ok());
  CHECK(Listed(provider) == std::vector<std::string>{"a2"});
}

TEMPLATE_LIST_TEST_CASE("what does not end when it is asked to is stopping until it is killed", "",
                        Worlds) {
  TestType world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1", world.StubbornDna());
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  world.AwaitStubborn(instance);
  for (int i = 0; i < 2; ++i) {  // The call does not wait for the end, and may come again.
    REQUIRE(Destroy(provider, instance).ok());
    CHECK(Look(provider, instance).life == Life::kStopping);
  }
  CHECK(Listed(provider) == std::vector<std::string>{"a1"});
  REQUIRE(Kill(provider, instance).ok());
  CHECK(Becomes(provider, instance, Life::kAbsent));
  CHECK(Listed(provider).empty());
}

}  // namespace
}  // namespace shadow
