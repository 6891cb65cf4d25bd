// The registry is gone or an older copy; what serves goes on until a person decides.
#include <algorithm>
#include <filesystem>

#include "tests/fakes/program_run.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using I = v1::Instance;

std::vector<pid_t> Serving(ShadowWorld& world) {
  std::vector<pid_t> pids;
  for (const I& instance : world.Instances(I::BASE, I::ACTIVE)) {
    pids.push_back(ShadowWorld::Pid(instance));
  }
  return pids;
}

std::vector<pid_t> Living(ShadowWorld& world) {
  std::vector<pid_t> pids;
  for (const auto& [id, of_instance] : world.daemon().TaggedProcesses()) {
    pids.insert(pids.end(), of_instance.begin(), of_instance.end());
  }
  return pids;
}

// Of the registry, which is not in use.
std::string CopyOfState(ShadowWorld& world) {
  std::string copy = world.daemon().directory() + "/older.db";
  std::filesystem::copy_file(world.daemon().state_dir() + "/state.db", copy);
  return copy;
}

// Starts on the registry that is there, makes a pool whose base serves, and ends. Returns the base.
std::vector<pid_t> ServeAndEnd(ShadowWorld& world) {
  world.daemon().Start();
  world.CreateDna();
  world.CreatePool();
  world.WaitForBase();
  std::vector<pid_t> pids = Serving(world);
  REQUIRE(world.daemon().Terminate() == 0);
  return pids;
}

bool AllLive(const std::vector<pid_t>& pids) {
  return std::all_of(pids.begin(), pids.end(), [](pid_t pid) { return kill(pid, 0) == 0; });
}

// A start that is refused; what it ended is lost.
void StartInVain(ShadowWorld& world, const std::vector<pid_t>& living, Tally& tally) {
  tally.Try();
  CHECK(world.daemon().StartInVain() == kExitConfig);
  for (const pid_t pid : living) tally.Lose(kill(pid, 0) == 0 ? 0 : 1);
}

void Remove(const std::string& state_dir, const std::vector<std::string>& files) {
  for (const std::string& file : files) std::filesystem::remove(state_dir + "/" + file);
}

TEST_CASE("a daemon that has lost its registry refuses to start and ends no instance") {
  struct Loss {
    bool clean_end;
    std::vector<std::string> files;
  };
  const Loss loss =
      GENERATE(Loss{false, {"state.db-wal", "state.db-shm"}},
               Loss{false, {"state.db", "state.db-wal", "state.db-shm"}}, Loss{true, {"state.db"}});
  Tally tally("lost registry", "starts");
  ShadowWorld world({.base_instances = 2});
  const std::vector<pid_t> pids = Serving(world);
  REQUIRE(pids.size() == 2);
  HttpLoad load(world.Load());
  if (loss.clean_end) {
    REQUIRE(world.daemon().Terminate() == 0);
  } else {
    world.daemon().Kill();
  }
  Remove(world.daemon().state_dir(), loss.files);
  for (int start = 0; start < 2; ++start) StartInVain(world, pids, tally);
  WaitForAnswers(load, 10);
  CountFailures(load, tally);
  CHECK(world.daemon().Log().find("--recover=adopt") != std::string::npos);
  CHECK(world.daemon().Log().find("--recover=end") != std::string::npos);
  CHECK(world.daemon().Log().find("2 instances live") != std::string::npos);
}

TEST_CASE("an older copy of the registry ends nothing, and the newer one goes on as if not gone") {
  Tally tally("older registry", "start");
  ShadowWorld world({.base_instances = 1}, false);
  REQUIRE(world.daemon().Terminate() == 0);
  const std::string state = world.daemon().state_dir() + "/state.db";
  const std::string copy = CopyOfState(world);
  const std::vector<pid_t> pids = ServeAndEnd(world);
  const std::string newer = world.daemon().directory() + "/newer.db";
  std::filesystem::rename(state, newer);
  std::filesystem::rename(copy, state);
  StartInVain(world, pids, tally);

  std::filesystem::rename(newer, state);
  world.daemon().Start();
  world.WaitForBase();
  CHECK(Serving(world) == pids);
}

TEST_CASE(
    "an older copy of the registry adopts what lives, if a person says so, and it serves on") {
  Tally tally("older registry that adopts", "starts");
  ShadowWorld world({.base_instances = 1});
  REQUIRE(world.daemon().Terminate() == 0);
  const std::string copy = CopyOfState(world);
  world.daemon().Start();
  world.WaitForBase();
  world.CreateShadow(2);
  world.WaitForShadow(v1::ShadowPool::SUSPENDED, 0);
  world.Activate(50);
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  const std::vector<pid_t> pids = Living(world);
  REQUIRE(pids.size() == 3);
  HttpLoad load(world.Load());
  world.daemon().Kill();
  Remove(world.daemon().state_dir(), {"state.db-wal", "state.db-shm"});
  std::filesystem::rename(copy, world.daemon().state_dir() + "/state.db");
  StartInVain(world, pids, tally);

  world.daemon().arguments = {"--recover", "adopt"};
  world.daemon().Start();
  tally.Try();
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  world.WaitForBase();
  CountLeaks(world, tally);
  CHECK(Living(world) == pids);
  CHECK(world.Shadow().target_instances() == 2);
  CHECK(world.Shadow().target_activation_level() == 50);
  CHECK(world.daemon().Log().find("adopted: ACTIVE") != std::string::npos);
  CHECK(world.daemon().Log().find("adopted: SUSPENDED") != std::string::npos);

  // What was adopted is known to the next start.
  world.daemon().arguments = {};
  world.daemon().Kill();
  world.daemon().Start();
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  CHECK(Living(world) == pids);
  world.Activate(100);
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 2);
  CountFailures(load, tally);
  FinishRow(world, tally);
}

TEST_CASE("what an older copy cannot adopt is named, and ended only if a person says so") {
  Tally tally("older registry that cannot adopt", "starts");
  ShadowWorld world({.base_instances = 1}, false);
  REQUIRE(world.daemon().Terminate() == 0);
  const std::string copy = CopyOfState(world);
  const std::vector<pid_t> pids = ServeAndEnd(world);
  std::filesystem::rename(copy, world.daemon().state_dir() + "/state.db");
  world.daemon().arguments = {"--recover=adopt"};
  StartInVain(world, pids, tally);
  CHECK(world.daemon().Log().find("its pool, pools/web, is not in the store") != std::string::npos);

  world.daemon().arguments = {"--recover=adopt", "--recover=end"};
  world.daemon().Start();
  tally.Try();
  CHECK_FALSE(AllLive(pids));
  tally.Leak(std::ssize(world.daemon().TaggedProcesses()));
}

void SetMode(ShadowWorld& world, v1::Policy::Mode mode) {
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = world.PoolSpec();
  request.mutable_pool()->mutable_policy()->set_mode(mode);
  ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::UpdatePool, request));
}

TEST_CASE("a registry that is lost altogether is adopted from what was kept, and all serves on") {
  ShadowWorld world({.base_instances = 2, .pool = "policy { mode: AUTOMATIC }"});
  world.CreateShadow(2);
  world.WaitForShadow(v1::ShadowPool::SUSPENDED, 0);
  world.Activate(50);
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  const std::vector<pid_t> pids = Living(world);
  const std::set<std::string> balanced = world.Balanced();
  REQUIRE(pids.size() == 4);
  REQUIRE(balanced.size() == 3);
  HttpLoad load(world.Load());
  WaitForAnswers(load, 10);
  world.daemon().Kill();
  Remove(world.daemon().state_dir(), {"state.db", "state.db-wal", "state.db-shm"});
  CHECK(world.daemon().StartInVain() == kExitConfig);
  CHECK(world.daemon().Log().find("4 instances live") != std::string::npos);

  world.daemon().arguments = {"--recover=adopt"};
  world.daemon().Start();
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  world.WaitForBase();
  world.ExpectNothingLeakedOrDoubled();
  CHECK(Living(world) == pids);
  CHECK(world.Balanced() == balanced);
  CHECK(world.FindPool()->policy().mode() == v1::Policy::OBSERVE);
  CHECK(world.Shadow().target_instances() == 2);
  CHECK(world.Shadow().target_activation_level() == 50);
  CHECK(world.daemon().Log().find("taken back, in OBSERVE") != std::string::npos);

  // What was taken back is known to the next start, which needs no person.
  world.daemon().arguments = {};
  world.daemon().Kill();
  world.daemon().Start();
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 1);
  WaitForAnswers(load, 30);
  CHECK(Living(world) == pids);
  SetMode(world, v1::Policy::AUTOMATIC);
  CHECK(world.FindPool()->policy().mode() == v1::Policy::AUTOMATIC);
  world.Activate(100);
  world.WaitForShadow(v1::ShadowPool::ACTIVE, 2);
  ExpectNoFailure(load);
  world.Finish();
}

TEST_CASE("without its definitions a lost registry adopts nothing and says what can be done") {
  ShadowWorld world({.base_instances = 1});
  const std::vector<pid_t> pids = Serving(world);
  world.daemon().Kill();
  Remove(world.daemon().state_dir(), {"state.db", "state.db-wal", "state.db-shm"});
  std::filesystem::remove_all(world.daemon().state_dir() + "/definitions");
  world.daemon().arguments = {"--recover=adopt"};
  CHECK(world.daemon().StartInVain() == kExitConfig);
  CHECK(AllLive(pids));
  const std::string log = world.daemon().Log();
  CHECK(log.find("its pool, pools/web, is not in the store") != std::string::npos);
  CHECK(log.find("restore a backup") != std::string::npos);
  CHECK(log.find("--recover=adopt --recover=end") != std::string::npos);
}

TEST_CASE("a lost registry of pools without instances is no empty one") {
  ShadowWorld world({.base_instances = 0});
  REQUIRE(world.daemon().Terminate() == 0);
  const std::vector<std::string> files = {"state.db", "state.db-wal", "state.db-shm"};
  Remove(world.daemon().state_dir(), files);
  CHECK(world.daemon().StartInVain() == kExitConfig);
  CHECK(world.daemon().Log().find("definitions of 1 pools and 1 revisions") != std::string::npos);

  world.daemon().arguments = {"--recover=adopt"};
  world.daemon().Start();
  CHECK(world.FindPool().ok());
  REQUIRE(world.daemon().Terminate() == 0);
  Remove(world.daemon().state_dir(), files);
  world.daemon().arguments = {"--recover=end"};
  world.daemon().Start();
  CHECK(absl::IsNotFound(world.FindPool().status()));
  world.daemon().arguments = {};
  REQUIRE(world.daemon().Terminate() == 0);
  world.daemon().Start();
}

TEST_CASE("lost samples are told by the log and by an event, and the pools go on") {
  Tally tally("lost samples", "start");
  ShadowWorld world({.base_instances = 1});
  const std::vector<pid_t> pids = Serving(world);
  world.daemon().Kill();
  Remove(world.daemon().state_dir(), {"metrics.db", "metrics.db-wal", "metrics.db-shm"});
  world.daemon().Start();
  tally.Try();
  world.WaitForBase();
  for (const pid_t pid : pids) tally.Lose(kill(pid, 0) == 0 ? 0 : 1);
  CountLeaks(world, tally);
  CHECK(Serving(world) == pids);
  CHECK(world.daemon().Log().find("metrics.db is missing") != std::string::npos);
  v1::ListEventsRequest request;
  request.set_page_size(1000);
  const auto events =
      DaemonProcess::Call(world.daemon().events(), &v1::EventService::Stub::ListEvents, request);
  REQUIRE(events.ok());
  CHECK(std::count_if(events->events().begin(), events->events().end(), [](const v1::Event& event) {
          return event.message().find("metrics.db is missing") != std::string::npos;
        }) == 1);
}

TEST_CASE("a state directory that is not as it must be is refused for good, and says why") {
  Tally tally("wrong state directory", "starts");
  ShadowWorld world({.base_instances = 1});
  const std::vector<pid_t> pids = Serving(world);
  const std::string state = world.daemon().state_dir();
  REQUIRE(world.daemon().Terminate() == 0);
  const auto refused = [&](const std::string& why) {
    StartInVain(world, pids, tally);
    INFO(why);
    CHECK(world.daemon().Log().find(why) != std::string::npos);
  };
  REQUIRE(chmod(state.c_str(), 0770) == 0);
  refused("has mode 0770; wanted");
  REQUIRE(chmod(state.c_str(), 0700) == 0);

  const std::string original = world.daemon().directory() + "/original";
  std::filesystem::rename(state, original);
  std::filesystem::copy(original, state, std::filesystem::copy_options::recursive);
  REQUIRE(chmod(state.c_str(), 0700) == 0);
  refused("is a copy");
  std::filesystem::remove_all(original);
  world.daemon().arguments = {"--recover=adopt-copy"};
  world.daemon().Start();
  world.WaitForBase();
  CHECK(Serving(world) == pids);
  world.daemon().arguments = {};
  REQUIRE(world.daemon().Terminate() == 0);
  world.daemon().Start();
  world.WaitForBase();
  CountLeaks(world, tally);
}

TEST_CASE("a removed lock file lets no second daemon in") {
  Tally tally("second daemon", "start");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  std::filesystem::remove(daemon.state_dir() + "/lock");
  // The same command beside the first one.
  tally.Try();
  CHECK(RunProgram(daemon.Argv()).exit_code == 75);
  const auto status =
      DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {});
  tally.Fail(status.ok() ? 0 : 1);
}

TEST_CASE("a person may have the instances of a lost registry ended") {
  Tally tally("lost registry, ended", "start");
  ShadowWorld world({.base_instances = 2});
  const std::vector<pid_t> pids = Serving(world);
  world.daemon().Kill();
  Remove(world.daemon().state_dir(), {"state.db", "state.db-wal", "state.db-shm"});
  world.daemon().arguments = {"--recover", "end"};
  world.daemon().Start();
  tally.Try();
  for (const pid_t pid : pids) tally.Leak(kill(pid, 0) != 0 ? 0 : 1);
  CHECK(world.Instances(I::BASE).empty());
}

}  // namespace
}  // namespace shadow
