// Looks at /proc while there are no descriptors left: an error, and never a fact.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "server/providers/facts/process_facts.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_signals.h"
#include "server/providers/process_spawn.h"
#include "tests/server/providers/no_descriptors.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// Of each look, made while there are none.
std::map<std::string, absl::Status> LooksAt(pid_t pid) {
  const NoDescriptors none;
  return {{"stat", ReadProcessStat(pid).status()},
          {"table", ReadProcessTable().status()},
          {"threads", ReadThreads(pid).status()},
          {"stopped", IsStopped(pid).status()},
          {"environment", ReadEnvironment(pid).status()},
          {"privileges", ReadPrivileges(pid).status()},
          {"signal", SendSignal({.pid = pid, .start_ticks = 1}, 0)}};
}

TEST_CASE("without descriptors no look says that a process is gone") {
  for (const auto& [look, status] : LooksAt(getpid())) {
    INFO(look << ": " << status);
    CHECK(IsIncomplete(status));
    CHECK_FALSE(absl::IsNotFound(status));
  }
}

TEST_CASE("only what is not there is gone") {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(absl::IsNotFound(ReadProcessStat(child).status()));
  CHECK(absl::IsNotFound(ReadPrivileges(child).status()));
  CHECK(ReadThreads(child)->empty());
  CHECK(ReadEnvironment(child)->empty());
  CHECK(IsStopped(child).value());
}

TEST_CASE("an instance is not gone because it could not be looked at") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", world.Dna());
  REQUIRE(Create(world.provider(), instance).ok());
  const pid_t pid = PidOf(Look(world.provider(), instance));
  {
    const NoDescriptors none;
    CHECK_FALSE(world.provider().Inspect(instance).ok());
    CHECK_FALSE(world.provider().List().ok());
    CHECK_FALSE(Suspend(world.provider(), instance).ok());
    CHECK_FALSE(Kill(world.provider(), instance).ok());
  }
  CHECK(StateOf(pid) != 'X');
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
  CHECK(world.provider().List()->size() == 1);
}

TEST_CASE("facts are complete, or an error that says nothing of the instance") {
  ProcessWorld world;
  CompiledDna dna = TestDna();
  v1::Software& software = *dna.dna.add_software();
  software.set_name("shell");
  software.set_version("1");
  for (const char* word : {"/bin/sh", "-c", "echo 1"}) software.add_verify_argv(word);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  const auto record = records->Read("a1");
  REQUIRE(record.ok());
  SystemClock clock;
  REQUIRE(CollectFacts(dna, *record, world.store_id(), clock, {}).ok());
  const auto blind = [&] {
    const NoDescriptors none;
    return CollectFacts(dna, *record, world.store_id(), clock, {}).status();
  }();
  INFO(blind);
  CHECK(IsIncomplete(blind));
}

Life LifeInList(Provider& provider) {
  const auto all = provider.List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  return all->front().life;
}

TEST_CASE("an instance that somebody has stopped is found so, and is continued") {
  ProcessWorld world;
  Provider& provider = world.provider();
  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kRunning));
  const pid_t pid = std::atoi(Look(provider, instance).handle.c_str() + 4);  // "pid 4711"
  CHECK(LifeInList(provider) == Life::kRunning);
  REQUIRE(kill(pid, SIGSTOP) == 0);
  REQUIRE(PollUntil(kPatience, [&] { return LifeInList(provider) == Life::kSuspended; }));
  REQUIRE(Resume(provider, instance).ok());
  CHECK(PollUntil(kPatience, [&] { return LifeInList(provider) == Life::kRunning; }));
}

TEST_CASE("an instance of which somebody has stopped only a part runs") {
  ProcessWorld world;
  Provider& provider = world.provider();
  const InstanceSpec instance =
      TestInstance("a1", TestDna({"/bin/sh", "-c", "sleep 1000 & echo up; wait"}));
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == "up\n"; }));
  const pid_t pid = std::atoi(Look(provider, instance).handle.c_str() + 4);
  REQUIRE(kill(pid, SIGSTOP) == 0);
  REQUIRE(PollUntil(kPatience, [&] {
    const auto stat = ReadProcessStat(pid);
    return stat.ok() && stat->state == 'T';
  }));
  CHECK(LifeInList(provider) == Life::kRunning);
}

}  // namespace
}  // namespace shadow
