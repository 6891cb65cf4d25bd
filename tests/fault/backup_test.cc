// A backup of a daemon that works, and what becomes of it.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "tests/fakes/program_run.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

constexpr int kExitTempFail = 75;
constexpr int kExitNotAllowed = 4;
constexpr int kExitConflict = 5;

ProgramResult BackUp(const DaemonProcess& daemon, const std::string& file, uid_t uid = 0) {
  return RunProgram({SHADOW_BIN_DIR "/shadowctl", "--address", daemon.address(), "backup", file},
                    {.text = "", .uid = uid});
}

ProgramResult RestoreInto(const DaemonProcess& daemon, const std::string& file) {
  std::vector<std::string> argv = daemon.Argv();
  argv.insert(argv.end(), {"--restore", file});
  return RunProgram(argv);
}

// The store is lost; what else is in the state directory stays.
void LoseStore(const DaemonProcess& daemon) {
  for (const char* name : {"state.db", "state.db-wal", "state.db-shm", "metrics.db",
                           "metrics.db-wal", "metrics.db-shm"}) {
    std::filesystem::remove(daemon.state_dir() + "/" + name);
  }
}

TEST_CASE("a backup of a busy daemon brings a lost store back, and its instances go on") {
  Tally tally("backup of a busy daemon", "restore");
  ShadowWorld world({.base_instances = 1});
  DaemonProcess& daemon = world.daemon();
  const std::string file = daemon.directory() + "/backup.tar";
  HttpLoad load(world.Load());
  world.CreateShadow(1);  // Under way while the copy is made, or just done.
  const ProgramResult backed_up = BackUp(daemon, file);
  INFO(backed_up.err);
  REQUIRE(backed_up.exit_code == 0);
  struct stat info {};
  REQUIRE(stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(RunProgram({"/bin/tar", "tf", file}).out == "state.db\nmetrics.db\n");
  CHECK(BackUp(daemon, file).exit_code == kExitConflict);  // It replaces no file.

  world.WaitForShadow(v1::ShadowPool::SUSPENDED, 0);
  const std::string newer = daemon.directory() + "/newer.tar";
  REQUIRE(BackUp(daemon, newer).exit_code == 0);
  const InstanceProcesses living = daemon.TaggedProcesses();
  CHECK(RestoreInto(daemon, newer).exit_code == kExitTempFail);  // A daemon runs.
  daemon.Kill();
  const ProgramResult there = RestoreInto(daemon, newer);
  CHECK(there.exit_code == kExitConfig);
  CHECK(there.err.find("is there already") != std::string::npos);
  LoseStore(daemon);
  const ProgramResult restored = RestoreInto(daemon, newer);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  tally.Try();
  daemon.Start();
  world.WaitForShadow(v1::ShadowPool::SUSPENDED, 0);
  CountEnded(daemon, living, tally);
  CountLeaks(world, tally);
  CountFailures(load, tally);
  FinishRow(world, tally);
}

void LoseAndRestore(const DaemonProcess& daemon, const std::string& file) {
  LoseStore(daemon);
  const ProgramResult restored = RestoreInto(daemon, file);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
}

TEST_CASE("the backup of another store ends nothing, however far that has come") {
  Tally tally("backup of another store", "starts");
  ShadowWorld world({.base_instances = 2, .haproxy = false});
  DaemonProcess& daemon = world.daemon();
  const std::string own = daemon.directory() + "/own.tar";
  REQUIRE(BackUp(daemon, own).exit_code == 0);
  const auto living = daemon.TaggedProcesses();
  REQUIRE(living.size() == 2);
  REQUIRE(daemon.Terminate() == 0);
  // It has an instance with the id of the first one, and has gone beyond that of the second one.
  ShadowWorld other({.base_instances = 1, .haproxy = false});
  const std::string others = daemon.directory() + "/others.tar";
  REQUIRE(BackUp(other.daemon(), others).exit_code == 0);
  LoseAndRestore(daemon, others);
  for (int start = 0; start < 2; ++start) {
    CHECK(daemon.StartInVain() == kExitConfig);
    tally.Try();
    CountEnded(daemon, living, tally);
  }
  CHECK(daemon.Log().find("2 instances live that another store has made") != std::string::npos);
  for (const auto& [id, pids] : living) {
    CHECK(daemon.Log().find(id + " (made in epoch " + daemon.store_id()) != std::string::npos);
  }
  // Their own store brings them back, in an epoch that goes on from theirs.
  LoseAndRestore(daemon, own);
  for (int start = 0; start < 2; ++start) {
    daemon.Start();
    world.WaitForBase();
    CountEnded(daemon, living, tally);
    CountLeaks(world, tally);
    REQUIRE(daemon.Terminate() == 0);
  }
  daemon.Start();
  FinishRow(world, tally);
}

// Makes at least this many events.
void GoOn(DaemonProcess& daemon, const ShadowWorld& world, int events) {
  for (int i = 0; i < events; ++i) {
    v1::CreateDnaRequest request;
    *request.mutable_dna() = world.DnaSpec();
    request.mutable_dna()->set_name("dnas/d" + std::to_string(i));
    REQUIRE(DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::CreateDna, request).ok());
  }
}

TEST_CASE("a store that has gone on elsewhere does not know what was made here meanwhile") {
  Tally tally("fork of a store", "start");
  ShadowWorld world({.base_instances = 1, .haproxy = false}, false);
  DaemonProcess& daemon = world.daemon();
  const std::string fork = daemon.directory() + "/fork.tar";
  REQUIRE(BackUp(daemon, fork).exit_code == 0);
  REQUIRE(daemon.Terminate() == 0);
  DaemonProcess elsewhere(SHADOW_BIN_DIR);
  REQUIRE(elsewhere.Terminate() == 0);
  LoseAndRestore(elsewhere, fork);
  elsewhere.Start();
  CHECK(elsewhere.store_id() == daemon.store_id());
  constexpr int kEvents = 30;
  GoOn(elsewhere, world, kEvents);
  const std::string gone_on = daemon.directory() + "/gone_on.tar";
  REQUIRE(BackUp(elsewhere, gone_on).exit_code == 0);
  REQUIRE(elsewhere.Terminate() == 0);

  daemon.Start();
  world.CreateDna();
  world.CreatePool();
  world.WaitForBase();
  const auto living = daemon.TaggedProcesses();
  REQUIRE(living.size() == 1);
  REQUIRE(std::stoi(living.begin()->first.substr(1)) < kEvents);  // By its number it is known.
  REQUIRE(daemon.Terminate() == 0);
  // As a record that was lost: the holder names the epoch too.
  if (GENERATE(false, true)) {
    std::filesystem::remove(daemon.state_dir() + "/instances/" + living.begin()->first + ".pid");
  }
  LoseAndRestore(daemon, gone_on);
  CHECK(daemon.StartInVain() == kExitConfig);
  tally.Try();
  CHECK(daemon.Log().find("1 instances live") != std::string::npos);
  CountEnded(daemon, living, tally);
}

TEST_CASE("a backup that is older than what lives is not believed") {
  Tally tally("older backup", "start");
  ShadowWorld world({.base_instances = 1, .haproxy = false}, false);
  DaemonProcess& daemon = world.daemon();
  const std::string file = daemon.directory() + "/backup.tar";
  REQUIRE(BackUp(daemon, file).exit_code == 0);
  world.CreateDna();
  world.CreatePool();
  world.WaitForBase();
  const InstanceProcesses living = daemon.TaggedProcesses();
  REQUIRE(daemon.Terminate() == 0);
  LoseStore(daemon);
  REQUIRE(RestoreInto(daemon, file).exit_code == 0);
  CHECK(daemon.StartInVain() == kExitConfig);
  tally.Try();
  CountEnded(daemon, living, tally);
  CHECK(daemon.Log().find("1 instance") != std::string::npos);
}

TEST_CASE("only an administrator gets a backup, and damage is found before it counts") {
  Tally tally("damaged backup", "restore");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  const std::string file = daemon.directory() + "/backup.tar";
  REQUIRE(BackUp(daemon, file).exit_code == 0);
  if (geteuid() == 0) {
    constexpr uid_t kReader = 54321;
    const std::string folder = daemon.directory() + "/reader";
    std::filesystem::create_directory(folder);
    REQUIRE(chown(folder.c_str(), kReader, kReader) == 0);
    REQUIRE(chmod(daemon.socket_path().c_str(), 0666) == 0);
    CHECK(BackUp(daemon, folder + "/backup.tar", kReader).exit_code == kExitNotAllowed);
    CHECK(std::filesystem::is_empty(folder));
  }
  REQUIRE(daemon.Terminate() == 0);
  LoseStore(daemon);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 2000);
  const ProgramResult damaged = RestoreInto(daemon, file);
  CHECK(damaged.exit_code == kExitConfig);
  tally.Try();
  CHECK(damaged.err.find("cut short") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(daemon.state_dir() + "/state.db"));
}

}  // namespace
}  // namespace shadow
