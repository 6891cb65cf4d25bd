// What the holder of an instance is for: nothing of it escapes, its log stays small and its end is
// known, with or without a daemon.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "server/providers/look/process_members.h"
#include "server/providers/process_record.h"
#include "server/providers/process_spawn.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

std::vector<std::string> PrintedLines(const ProcessWorld& world, const std::string& id) {
  std::vector<std::string> lines;
  std::istringstream text(ReadText(world.LogPath(id)));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// Starts it and waits for as many pids as it is to print.
std::vector<pid_t> StartAndRead(ProcessWorld& world, const InstanceSpec& instance, size_t count) {
  const absl::Status created = Create(world.provider(), instance);
  INFO(created.ToString());
  REQUIRE(created.ok());
  REQUIRE(PollUntil(kPatience, [&] { return PrintedLines(world, instance.id).size() == count; }));
  std::vector<pid_t> pids;
  for (const std::string& line : PrintedLines(world, instance.id)) {
    pids.push_back(std::atoi(line.c_str()));
  }
  return pids;
}

pid_t HolderOf(const ProcessWorld& world, const std::string& id) {
  const ProcessRecord record = RecordOf(world, id);
  REQUIRE(record.holder.has_value());
  return record.holder->pid;
}

// Leaves a process, whose pid is printed, without any trace of the instance: in a session of its
// own, with an empty environment, and as a child of nobody.
constexpr char kEscape[] = "env -i /usr/bin/setsid -f /bin/bash -c 'echo $$; exec /bin/sleep 1000'";

TEST_CASE("what an instance leaves behind is ended when its first process has") {
  struct Row {
    std::string left;
    const char* end;
    const char* reason;
  };
  const std::string stubborn = "bash -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' &";
  const auto row = GENERATE_COPY(
      Row{"sleep 1000 & echo $!", "exit 3", "exit status 3"},
      Row{"env -i setsid sleep 1000 & echo $!", "kill -9 $$", "killed by SIGKILL"},
      Row{kEscape, "exit 0", "exit status 0"}, Row{stubborn, "exit 1", "exit status 1"});
  ProcessWorld world;
  const InstanceSpec instance = TestInstance(
      "a1", Shell(row.left + "\nuntil [ -s \"$LOG\" ]; do sleep 0.01; done; " + row.end));
  CompiledDna dna = *instance.dna;
  (*dna.dna.mutable_process()->mutable_environment())["LOG"] = world.LogPath("a1");
  const auto left = StartAndRead(world, TestInstance("a1", dna), 1);
  INFO(row.left);
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  CHECK_THAT(Look(world.provider(), instance).exit_reason, Catch::StartsWith(row.reason));
  CHECK(PollUntil(kPatience, [&] { return IsGone(left[0]); }));
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

TEST_CASE("a process that hides is stopped, continued and killed with its instance") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell(std::string(kEscape) + "; sleep 1000"));
  const pid_t hidden = StartAndRead(world, instance, 1)[0];
  REQUIRE(PollUntil(kPatience, [&] {
    const auto environment = ReadEnvironment(hidden);
    return environment.ok() && environment->find("SHADOWD") == std::string::npos;
  }));
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(StateOf(hidden) == 'T');
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(PollUntil(kPatience, [&] { return StateOf(hidden) == 'S'; }));
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK(IsGone(hidden));
}

TEST_CASE("an instance of which somebody continues a process is not suspended") {
  ProcessWorld world;
  const InstanceSpec instance =
      TestInstance("a1", Shell("sleep 1000 & echo $!\n" + std::string(kEscape) + "; wait"));
  const std::vector<pid_t> pids = StartAndRead(world, instance, 2);
  for (const pid_t pid : pids) {
    REQUIRE(Suspend(world.provider(), instance).ok());
    REQUIRE(Look(world.provider(), instance).life == Life::kSuspended);
    REQUIRE(kill(pid, SIGCONT) == 0);
    REQUIRE(PollUntil(kPatience, [&] { return StateOf(pid) == 'S'; }));
    CHECK(Look(world.provider(), instance).life == Life::kRunning);
    CHECK(world.provider().List()->front().life == Life::kRunning);
    REQUIRE(Suspend(world.provider(), instance).ok());
    CHECK(StateOf(pid) == 'T');
    CHECK(world.provider().List()->front().life == Life::kSuspended);
  }
}

TEST_CASE("the log of an instance that floods it stays within its bound without a daemon") {
  ProcessWorld world;
  world.log_max_bytes = 64 << 10;
  world.Reopen();
  CompiledDna dna =
      Shell("yes 0123456789 | head -c 33000000; echo the end; > \"$DONE\"; sleep 1000");
  (*dna.dna.mutable_process()->mutable_environment())["DONE"] = world.directory() / "done";
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  world.Close();
  off_t largest = 0;
  REQUIRE(PollUntil(kPatience, [&] {
    struct stat info {};
    if (stat(world.LogPath("a1").c_str(), &info) == 0) largest = std::max(largest, info.st_size);
    return std::filesystem::exists(world.directory() / "done");
  }));
  REQUIRE(
      PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")).ends_with("\nthe end\n"); }));
  CHECK(largest > 0);
  CHECK(largest <= world.log_max_bytes);
  const std::string log = ReadText(world.LogPath("a1"));
  CHECK(log.size() <= 64 << 10);
  CHECK(log.size() > 31 << 10);
  CHECK(log.starts_with("0123456789\n"));
  CHECK(Look(world.Reopen(), instance).life == Life::kRunning);
}

TEST_CASE("an instance does not wait for a log that has no room") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1", Shell("yes | head -c 3000000; exit 5"));
  // The file can grow no further than this: as on a full disk, its writes fail.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const absl::Status created = Create(world.provider(), instance);
  setrlimit(RLIMIT_FSIZE, &before);
  INFO(created.ToString());
  REQUIRE(created.ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  CHECK_THAT(Look(world.provider(), instance).exit_reason, Catch::StartsWith("exit status 5"));
  CHECK(std::filesystem::file_size(world.LogPath("a1")) == 4096);
}

TEST_CASE("how an instance ended is known to a daemon that did not run then") {
  struct Row {
    const char* end;
    const char* reason;
  };
  const auto row = GENERATE(Row{"exit 7", "exit status 7; last output: bye"},
                            Row{"kill -SEGV $$", "killed by SIGSEGV; last output: bye"});
  ProcessWorld world;
  CompiledDna dna =
      Shell(std::string("until [ -e \"$GO\" ]; do sleep 0.01; done; echo bye; ") + row.end);
  (*dna.dna.mutable_process()->mutable_environment())["GO"] = world.directory() / "go";
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const pid_t holder = HolderOf(world, "a1");
  world.Close();
  WriteFile(world.directory() / "go", "");
  REQUIRE(PollUntil(kPatience, [&] { return StateOf(holder) == 'Z'; }));
  const Observation seen = Look(world.Reopen(), instance);
  CHECK(seen.life == Life::kExited);
  CHECK(seen.exit_reason == row.reason);
  CHECK(StateOf(holder) == 'X');  // Reaped.
}

TEST_CASE("an instance whose holder is killed has failed, and is ended all the same") {
  ProcessWorld world;
  const bool suspended = GENERATE(false, true);
  const InstanceSpec instance = TestInstance(
      "a1", Shell("setsid sleep 1000 & echo $!\n" +
                  std::string(suspended ? kEscape : "sleep 1000 & echo $!") + "\nsleep 1000"));
  std::vector<pid_t> pids = StartAndRead(world, instance, 2);
  pids.push_back(PidOf(Look(world.provider(), instance)));
  if (suspended) REQUIRE(Suspend(world.provider(), instance).ok());
  REQUIRE(kill(HolderOf(world, "a1"), SIGKILL) == 0);
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  CHECK_THAT(Look(world.Reopen(), instance).exit_reason,
             Catch::StartsWith("its holder was killed; last output"));
  CHECK(absl::IsNotFound(Suspend(world.provider(), instance)));
  CHECK(absl::IsNotFound(Resume(world.provider(), instance)));
  CHECK_FALSE(std::all_of(pids.begin(), pids.end(), IsGone));
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK(PollUntil(kPatience, [&] { return std::all_of(pids.begin(), pids.end(), IsGone); }));
}

TEST_CASE("a holder that somebody has stopped goes on after a look") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(Create(world.provider(), instance).ok());
  const pid_t holder = HolderOf(world, "a1");
  REQUIRE(kill(holder, SIGSTOP) == 0);
  REQUIRE(PollUntil(kPatience, [&] { return StateOf(holder) == 'T'; }));
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
  CHECK(PollUntil(kPatience, [&] { return StateOf(holder) == 'S'; }));
  for (const int ignored : {SIGTERM, SIGHUP, SIGINT}) REQUIRE(kill(holder, ignored) == 0);
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
}

TEST_CASE("an instance is not started without its holder's program") {
  ProcessWorld world;
  SpawnSpec plan;
  plan.argv = {"/bin/sleep", "1000"};
  plan.credentials.uid = geteuid();
  plan.credentials.gid = getegid();
  plan.holder = {.program = "/nowhere/shadow-holder",
                 .environment = "A=b",
                 .log_fd = STDERR_FILENO,
                 .exit_fd = STDERR_FILENO,
                 .log_max_bytes = 4096};
  const auto held = HeldProcess::Spawn(plan);
  CHECK(absl::IsUnavailable(held.status()));
  CHECK(held.status().message() ==
        "cannot execute /nowhere/shadow-holder: No such file or directory");
}

// Under the sanitizers the holder is linked dynamically, and does not even begin so.
#ifndef SHADOW_SANITIZED
TEST_CASE("a holder that has no descriptor to wait with notes an end all the same") {
  const TemporaryDirectory place;
  WriteFile(place / "log", "");
  WriteFile(place / "exit", std::string(31, ' ') + "\n");
  // Six descriptors are what it begins with. Its first process is its child already.
  const std::string script = "cd " + place.path() +
                             "; (until [ -e go ]; do sleep 0.01; done; sleep 0.2; exit 3) & exec "
                             "3</dev/null 4<>log 5<>exit; "
                             "ulimit -n 6; exec " +
                             SHADOW_BIN_DIR + "/shadow-holder $! 4096";
  std::jthread holder([&script] { (void)!std::system(script.c_str()); });
  WriteFile(place / "go", "");
  CHECK(PollUntil(kPatience, [&] { return ReadText(place / "exit").starts_with("exited 3"); }));
}
#endif

// As a daemon of before holders has started it: the program is the daemon's child, and writes its
// log itself.
void StartWithoutHolder(ProcessWorld& world, const std::string& script) {
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  SpawnSpec plan;
  plan.argv = {"/bin/bash", "-c", script};
  plan.environment = {"PATH=/usr/bin:/bin", "SHADOWD_INSTANCE=a1",
                      "SHADOWD_STORE=" + world.store_id(), "GO=" + (world.directory() / "go")};
  plan.credentials.uid = geteuid();
  plan.credentials.gid = getegid();
  std::FILE* const log = std::fopen(world.LogPath("a1").c_str(), "a");
  REQUIRE(log != nullptr);
  plan.output_fd = fileno(log);
  auto held = HeldProcess::Spawn(plan);
  std::fclose(log);
  REQUIRE(held.ok());
  ProcessRecord record;
  record.id = "a1";
  record.name = "pools/web/instances/a1";
  record.pool = "web";
  record.boot_id = BootId();
  record.port = 20000;
  record.leader = held->id();
  REQUIRE(records->Write(record, RecordDirectory::Durability::kPowerLoss).ok());
  REQUIRE(held->Release().ok());
}

TEST_CASE("an instance that was started without a holder goes on") {
  ProcessWorld world;
  world.log_max_bytes = 4000;
  world.Reopen();
  StartWithoutHolder(world, "seq 100000; until [ -e \"$GO\" ]; do sleep 0.01; done; exit 3");
  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(
      PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")).ends_with("100000\n"); }));
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
  CHECK(std::filesystem::file_size(world.LogPath("a1")) <= 2000);
  CHECK(ReadText(world.LogPath("a1")).ends_with("\n100000\n"));
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(Look(world.provider(), instance).life == Life::kSuspended);
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
  WriteFile(world.directory() / "go", "");
  REQUIRE(Becomes(world.provider(), instance, Life::kExited));
  CHECK_THAT(Look(world.provider(), instance).exit_reason,
             Catch::StartsWith("exited; last output"));
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

}  // namespace
}  // namespace shadow
