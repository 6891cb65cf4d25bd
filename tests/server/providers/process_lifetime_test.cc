// Stopping, killing and finding again: whole process trees, crashes of the daemon, used-again pids.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <sstream>

#include "server/providers/look/process_members.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_record.h"
#include "server/providers/process_signals.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// A leader with: a child; one without the tag; one in a session of its own; an orphan in a session
// of its own; these two without the tag. The pids of the six are printed.
constexpr char kFamily[] = R"(
  sleep 1000 & echo $!
  env -i sleep 1000 & echo $!
  setsid sleep 1000 & echo $!
  sh -c 'setsid sleep 1000 & echo $!'
  env -i setsid sleep 1000 & echo $!
  env -i sh -c 'setsid sleep 1000 & echo $!'
  wait)";
constexpr size_t kFamilySize = 6;

std::vector<pid_t> PrintedPids(const ProcessWorld& world, const std::string& id) {
  std::vector<pid_t> pids;
  std::istringstream text(ReadText(world.LogPath(id)));
  for (pid_t pid = 0; text >> pid;) pids.push_back(pid);
  return pids;
}

// Starts the family and waits until it is complete. The leader is the last of the result.
std::vector<pid_t> StartFamily(ProcessWorld& world, const InstanceSpec& instance) {
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(PollUntil(kPatience, [&] {
    const auto pids = PrintedPids(world, instance.id);
    return pids.size() == kFamilySize && std::all_of(pids.begin(), pids.end(), [](pid_t pid) {
             const auto name = ReadSmallFile("/proc/" + std::to_string(pid) + "/comm");
             return name.ok() && *name == "sleep\n";
           });
  }));
  auto pids = PrintedPids(world, instance.id);
  pids.push_back(PidOf(Look(world.provider(), instance)));
  return pids;
}

bool All(const std::vector<pid_t>& pids, bool (*is)(pid_t)) {
  return std::all_of(pids.begin(), pids.end(), is);
}
bool Stopped(pid_t pid) { return StateOf(pid) == 'T'; }
bool Running(pid_t pid) { return StateOf(pid) == 'S' || StateOf(pid) == 'R'; }

TEST_CASE("every process of an instance is stopped, continued and killed") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell(kFamily));
  const std::vector<pid_t> family = StartFamily(world, instance);
  REQUIRE(PollUntil(kPatience, [&] { return All(family, Running); }));  // A page may be read.

  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(All(family, Stopped));
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(PollUntil(kPatience, [&] { return All(family, Running); }));

  REQUIRE(Suspend(world.provider(), instance).ok());
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK(All(family, IsGone));
}

TEST_CASE("a suspension that a crash has cut short is undone by resuming") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell(kFamily));
  const std::vector<pid_t> family = StartFamily(world, instance);
  // As it is when the daemon dies between its signals.
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  ProcessRecord record = records->Read("a1").value();
  record.suspending = true;
  REQUIRE(records->Write(record, RecordDirectory::Durability::kProcessCrash).ok());
  REQUIRE(kill(family[0], SIGSTOP) == 0);
  REQUIRE(PollUntil(kPatience, [&] { return Stopped(family[0]); }));

  Provider& next = world.Reopen();
  CHECK(Look(next, instance).life == Life::kRunning);
  REQUIRE(Resume(next, instance).ok());
  CHECK(PollUntil(kPatience, [&] { return All(family, Running); }));
}

TEST_CASE("an instance gets the signal of its resume hook once after each suspension") {
  ProcessWorld world;
  CompiledDna dna = Shell("trap 'echo told' USR1; sleep 1000 & echo up; while :; do wait; done");
  dna.dna.mutable_process()->mutable_resume_hook()->set_signal("SIGUSR1");
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const auto prints = [&](const std::string& text) {
    return PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == text; });
  };
  REQUIRE(prints("up\n"));
  REQUIRE(Resume(world.provider(), instance).ok());  // It runs.
  for (const char* told : {"up\ntold\n", "up\ntold\ntold\n"}) {
    REQUIRE(Suspend(world.provider(), instance).ok());
    REQUIRE(Resume(world.provider(), instance).ok());
    CHECK(prints(told));
    REQUIRE(Resume(world.provider(), instance).ok());
  }
}

// A shell waits in vfork for most of such a loop, in which it cannot be stopped.
TEST_CASE("an instance that starts one process after the other is stopped") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell("while :; do /bin/true; done"));
  REQUIRE(Create(world.provider(), instance).ok());
  for (int i = 0; i < 30; ++i) {
    const absl::Status suspended = Suspend(world.provider(), instance);
    INFO(suspended.ToString());
    REQUIRE(suspended.ok());
    REQUIRE(Look(world.provider(), instance).life == Life::kSuspended);
    REQUIRE(Resume(world.provider(), instance).ok());
  }
}

TEST_CASE("a graceful stop of a suspended instance runs its signal handler") {
  ProcessWorld world;
  CompiledDna dna =
      Shell("trap 'echo bye >> $OUT; exit 0' USR1; echo up; while :; do sleep 0.01; done");
  (*dna.dna.mutable_process()->mutable_environment())["OUT"] = world.directory() / "out";
  dna.dna.mutable_process()->set_stop_signal("SIGUSR1");
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == "up\n"; }));
  const absl::Status suspended = Suspend(world.provider(), instance);
  INFO(suspended.ToString());
  REQUIRE(suspended.ok());
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK(ReadText(world.directory() / "out") == "bye\n");
  CHECK_FALSE(std::filesystem::exists(world.RecordPath("a1")));
  CHECK_FALSE(std::filesystem::exists(world.LogPath("a1")));
}

TEST_CASE("an instance that ignores its stop signal is stopping until it is forced") {
  ProcessWorld world;
  const InstanceSpec instance =
      TestInstance("a1", Shell("trap '' TERM; echo up; while :; do sleep 0.01; done"));
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == "up\n"; }));
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Look(world.provider(), instance).life == Life::kStopping);
  // So it is for the next daemon.
  CHECK(Look(world.Reopen(), instance).life == Life::kStopping);
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

TEST_CASE("the exit of an instance is told with its last output, and leaves no zombie") {
  struct Row {
    const char* script;
    const char* reason;
  };
  const auto row = GENERATE(
      Row{"echo one; echo two >&2; exit 3", "exit status 3; last output: one | two"},
      Row{"exit 0", "exit status 0"}, Row{"kill -KILL $$", "killed by SIGKILL"},
      Row{"printf 'a\\377\\001b\\303\\244\\n'; exit 1", "exit status 1; last output: a? b\u00e4"});
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell(row.script));
  REQUIRE(Create(world.provider(), instance).ok());
  const pid_t pid = PidOf(Look(world.provider(), instance));
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  CHECK(Look(world.provider(), instance).exit_reason == row.reason);
  CHECK(IsGone(pid));
  CHECK(absl::IsNotFound(Suspend(world.provider(), instance)));
  // It is on disk.
  CHECK(Look(world.Reopen(), instance).exit_reason == row.reason);
  const auto all = world.provider().List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  CHECK(all->front().exit_reason == row.reason);
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));  // Once its holder has ended too.
}

TEST_CASE("a pid that was used again is never signalled") {
  ProcessWorld world;
  // Somebody else's process.
  const pid_t stranger = fork();
  if (stranger == 0) {
    setsid();
    execl("/bin/sleep", "sleep", "1000", nullptr);
    _exit(127);
  }
  REQUIRE(stranger > 0);
  const auto stat = ReadProcessStat(stranger);
  REQUIRE(stat.ok());

  const auto forge = GENERATE(0, 1);  // Another start time; another boot.
  ProcessRecord record;
  record.id = "a1";
  record.name = "pools/web/instances/a1";
  record.pool = "web";
  record.leader = stat->id;
  record.boot_id = BootId();
  if (forge == 0) record.leader.start_ticks -= 1;
  if (forge == 1) record.boot_id = "another-boot";
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  REQUIRE(records->Write(record, RecordDirectory::Durability::kPowerLoss).ok());

  const InstanceSpec instance = TestInstance("a1");
  CHECK(Look(world.provider(), instance).life == Life::kExited);
  CHECK(absl::IsNotFound(Suspend(world.provider(), instance)));
  CHECK(absl::IsNotFound(SendSignal({stranger, stat->id.start_ticks - 1}, SIGKILL)));
  CHECK(Destroy(world.provider(), instance).ok());
  CHECK(Kill(world.provider(), instance).ok());
  CHECK(Look(world.provider(), instance).life == Life::kAbsent);
  CHECK(Running(stranger));
  CHECK(waitpid(stranger, nullptr, WNOHANG) == 0);
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
}

TEST_CASE("a record says of which DNA and store its instance is, unless it is an older daemon's") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(Create(world.provider(), instance).ok());
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  ProcessRecord record = records->Read("a1").value();
  CHECK(record.name == instance.name);
  CHECK(record.dna_revision == instance.dna->revision_name);
  REQUIRE(Suspend(world.provider(), instance).ok());  // Which writes it anew.
  record = records->Read("a1").value();
  CHECK(record.dna_revision == instance.dna->revision_name);
  CHECK(record.epoch == world.Epoch());
  record.dna_revision.clear();
  record.epoch.clear();
  REQUIRE(records->Write(record, RecordDirectory::Durability::kProcessCrash).ok());
  CHECK(ReadText(world.RecordPath("a1")).find("dna_revision") == std::string::npos);
  CHECK(ReadText(world.RecordPath("a1")).find("store") == std::string::npos);
  CHECK(Look(world.Reopen(), instance).life == Life::kSuspended);
}

TEST_CASE("an instance whose record was lost is found by its tag") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell(kFamily));
  const std::vector<pid_t> family = StartFamily(world, instance);
  const Observation before = Look(world.provider(), instance);
  const bool damaged = GENERATE(false, true);
  if (damaged) {
    WriteFile(world.RecordPath("a1"), "shadowd-instance 1\npid 1\n");
  } else {
    REQUIRE(std::filesystem::remove(world.RecordPath("a1")));
  }

  Provider& next = world.Reopen();
  const auto all = next.List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  CHECK(all->front().id == "a1");
  CHECK(all->front().life == Life::kRunning);
  CHECK(all->front().handle == before.handle);
  CHECK(all->front().address == before.address);
  CHECK(all->front().epoch == world.Epoch());  // As its holder says.
  REQUIRE(Create(next, instance).ok());
  CHECK(Look(next, instance).handle == before.handle);
  REQUIRE(Kill(next, instance).ok());
  CHECK(Becomes(next, instance, Life::kAbsent));
  CHECK(All(family, IsGone));
}

// A daemon, reduced to its provider: makes a1 and a2, suspends a2, says so and waits to be killed.
[[noreturn]] void RunDaemon(const ProcessProvider::Options& options, int said) {
  const auto provider = ProcessProvider::Open(options);
  if (!provider.ok()) _exit(1);
  const InstanceSpec running = TestInstance("a1");
  const InstanceSpec suspended = TestInstance("a2");
  if (!Create(**provider, running).ok() || !Create(**provider, suspended).ok() ||
      !Suspend(**provider, suspended).ok()) {
    _exit(2);
  }
  if (write(said, "x", 1) != 1) _exit(3);
  while (true) pause();
}

TEST_CASE("instances of a killed daemon go on, stay suspended and are adopted") {
  ProcessWorld world;
  world.Close();
  int said[2];
  REQUIRE(pipe(said) == 0);
  const pid_t daemon = fork();
  if (daemon == 0) RunDaemon(world.options(), said[1]);
  close(said[1]);
  char byte = 0;
  REQUIRE(read(said[0], &byte, 1) == 1);
  close(said[0]);
  REQUIRE(kill(daemon, SIGKILL) == 0);
  REQUIRE(waitpid(daemon, nullptr, 0) == daemon);

  Provider& next = world.Reopen();
  const auto all = next.List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].life == Life::kRunning);
  CHECK((*all)[1].life == Life::kSuspended);
  CHECK(Running(PidOf((*all)[0])));
  CHECK(Stopped(PidOf((*all)[1])));
  const InstanceSpec suspended = TestInstance("a2");
  REQUIRE(Resume(next, suspended).ok());
  CHECK(PollUntil(kPatience, [&] { return Running(PidOf((*all)[1])); }));
  for (const char* id : {"a1", "a2"}) {
    REQUIRE(Kill(next, TestInstance(id)).ok());
    CHECK(Becomes(next, TestInstance(id), Life::kAbsent));
  }
}

// Kills a daemon that creates one instance after the other, each time a little later.
TEST_CASE("a daemon that is killed while it creates leaves recorded instances only") {
  ProcessWorld world;
  world.Close();
  constexpr int kKills = 20;
  for (int round = 0; round < kKills; ++round) {
    const pid_t daemon = fork();
    if (daemon == 0) {
      const auto provider = ProcessProvider::Open(world.options());
      for (int i = 0; provider.ok() && i < 1000; ++i) {
        const std::string id = "r" + std::to_string(round) + "n" + std::to_string(i);
        (void)Create(**provider, TestInstance(id));
      }
      _exit(0);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(round * 1700);
    while (std::chrono::steady_clock::now() < until) {
    }
    kill(daemon, SIGKILL);
    waitpid(daemon, nullptr, 0);
    // Everything that carries the tag has a record of exactly that process.
    const auto records = RecordDirectory::Open(world.directory().path());
    REQUIRE(records.ok());
    const auto table = ReadProcessTable();
    REQUIRE(table.ok());
    const auto found = FindTagged(*table, world.store_id(), {geteuid()});
    REQUIRE(found.ok());
    for (const auto& [id, tagged] : *found) {
      const auto record = records->Read(id);
      REQUIRE(record.ok());
      CHECK(record->leader == tagged.leader);
    }
  }
}

TEST_CASE("the priority of a suspended instance is low, and its own again afterwards") {
  const auto own = ReadPrivileges(getpid());
  REQUIRE(own.ok());
  constexpr int kCapSysNice = 23;
  const int expected = own->Has(kCapSysNice) ? 19 : ReadProcessStat(getpid())->nice;
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(Create(world.provider(), instance).ok());
  const pid_t pid = PidOf(Look(world.provider(), instance));
  const int before = ReadProcessStat(pid)->nice;
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(ReadProcessStat(pid)->nice == expected);
  REQUIRE(Resume(world.Reopen(), instance).ok());
  CHECK(ReadProcessStat(pid)->nice == before);
}

}  // namespace
}  // namespace shadow
