// The disk of the state directory is full: what serves goes on serving, what rests can be woken,
// and all ends by itself once there is room.
#include <sys/stat.h>

#include <fstream>

#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

// A small file system of its own for one state directory, in namespaces that a process without any
// rights may make too. They last as long as this, or as the last process in them.
class SmallFileSystem {
 public:
  SmallFileSystem() {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-disk-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    std::filesystem::create_directory(mount());
    Hold();
    std::ofstream script(bin_dir() + "/shadowd");
    // $4 is the state directory.
    script << absl::Substitute(R"(#!/bin/sh
exec nsenter --preserve-credentials -t $0 -U -m sh -c '
  mkdir -p "$$4" && { mountpoint -q "$$4" || mount --bind $1 "$$4"; } && exec $2/shadowd "$$@"
' sh "$$@"
)",
                               pid_, mount(), SHADOW_BIN_DIR);
    script.close();
    chmod((bin_dir() + "/shadowd").c_str(), 0755);
  }
  ~SmallFileSystem() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  // False: the kernel lets nobody have such a mount, or the tools are missing.
  bool there() const { return std::filesystem::exists(Inside() + "/ready"); }

  // Where a shadowd is whose state directory is on it.
  std::string bin_dir() const { return directory_; }

  // Takes what is free, to the last block; another process does so for as long as it lasts.
  void Fill() const {
    std::ofstream file(Inside() + "/filler", std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void MakeRoom() const { std::filesystem::remove(Inside() + "/filler"); }
  void RemoveBallast() const { std::filesystem::remove(Inside() + "/ballast"); }

 private:
  std::string mount() const { return directory_ + "/mount"; }
  // As seen from outside of the namespaces.
  std::string Inside() const { return absl::Substitute("/proc/$0/root$1", pid_, mount()); }

  void Hold() {
    const std::string command = absl::Substitute(
        "mount -t tmpfs -o size=40m,mode=0700 tmpfs $0 && touch $0/ready && exec sleep 600",
        mount());
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execlp("unshare", "unshare", "-U", "-r", "-m", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    PollUntil(absl::Seconds(10),
              [this] { return there() || waitpid(pid_, nullptr, WNOHANG) != 0; });
  }

  std::string directory_;
  pid_t pid_ = -1;
};

v1::Condition DiskSpace(ShadowWorld& world) {
  const auto status =
      DaemonProcess::Call(world.daemon().server(), &v1::ServerService::Stub::GetServerStatus, {});
  if (!status.ok()) return {};
  for (const v1::Condition& condition : status->conditions()) {
    if (condition.type() == "DiskSpace") return condition;
  }
  return {};
}

absl::Status CreateOther(ShadowWorld& world, int number) {
  v1::CreateDnaRequest request;
  *request.mutable_dna() = world.DnaSpec();
  request.mutable_dna()->set_name("dnas/other" + std::to_string(number));
  return DaemonProcess::Call(world.daemon().dnas(), &v1::DnaService::Stub::CreateDna, request)
      .status();
}

void ExpectLowSpace(ShadowWorld& world) {
  world.WaitFor("the daemon says that the disk is full",
                [&] { return DiskSpace(world).status() == v1::Condition::FALSE; });
  const absl::Status refused = CreateOther(world, 0);
  INFO(refused);
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(std::string(refused.message()).find("MiB free, wanted") != std::string::npos);
}

TEST_CASE("on a full disk a suspended shadow is woken, also by a daemon that starts there") {
  const SmallFileSystem disk;
  if (!disk.there()) {
    WARN("skipped: no mount of a tmpfs in a user namespace here");
    return;
  }
  Tally tally("full disk", "levels while it is full");
  ShadowWorld world({.base_instances = 1, .haproxy = false, .bin_dir = disk.bin_dir()});
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  const InstanceProcesses living = world.daemon().TaggedProcesses();
  int acknowledged = 0;
  while (acknowledged < 20 && CreateOther(world, acknowledged + 1).ok()) ++acknowledged;
  REQUIRE(acknowledged == 20);

  disk.Fill();
  ExpectLowSpace(world);
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  tally.Try();
  disk.Fill();  // What was given back to it.
  world.Activate(0);
  world.WaitForShadow(S::SUSPENDED, 0);
  tally.Try();

  const bool crash = GENERATE(true, false);
  if (crash) {
    world.daemon().Kill();
  } else {
    CHECK(world.daemon().Terminate() == 0);
  }
  disk.Fill();
  world.daemon().Start();
  ExpectLowSpace(world);
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  tally.Try();

  disk.MakeRoom();
  world.WaitFor("all ends by itself",
                [&] { return DiskSpace(world).status() == v1::Condition::TRUE; });
  for (int number = 1; number <= acknowledged; ++number) {
    tally.Lose(absl::IsAlreadyExists(CreateOther(world, number)) ? 0 : 1);
  }
  CHECK(CreateOther(world, acknowledged + 1).ok());
  CHECK(world.daemon().Log().find("DiskSpace is FALSE") != std::string::npos);
  CHECK(world.daemon().Log().find("DiskSpace is TRUE") != std::string::npos);
  CountEnded(world.daemon(), living, tally);
  CountLeaks(world, tally);
  FinishRow(world, tally);
}

// Levels in turn until the store cannot write one: without ballast, and while others take what is
// free.
void ActivateUntilFull(ShadowWorld& world, const SmallFileSystem& disk) {
  constexpr int kTriesMax = 2000;
  const std::string name = world.Shadow().name();
  disk.RemoveBallast();
  for (int i = 0; i < kTriesMax; ++i) {
    disk.Fill();
    v1::ActivateShadowPoolRequest request;
    request.set_name(name);
    request.set_activation_level(i % 2 == 0 ? 100 : 50);
    const auto done = DaemonProcess::Call(
        world.daemon().shadows(), &v1::ShadowPoolService::Stub::ActivateShadowPool, request);
    if (absl::IsResourceExhausted(done.status())) return;
    INFO(done.status());
    REQUIRE(done.ok());
  }
  FAIL("the store still finds room");
}

TEST_CASE(
    "a daemon that cannot write ends cleanly when it is told to, and says what is not saved") {
  const SmallFileSystem disk;
  if (!disk.there()) {
    WARN("skipped: no mount of a tmpfs in a user namespace here");
    return;
  }
  Tally tally("disk without room for a level", "end");
  ShadowWorld world({.base_instances = 1, .haproxy = false, .bin_dir = disk.bin_dir()});
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  const InstanceProcesses living = world.daemon().TaggedProcesses();
  ActivateUntilFull(world, disk);
  CHECK(world.daemon().Terminate() == 0);
  tally.Try();
  CHECK(world.daemon().Log().find("changes that nobody was told of") != std::string::npos);

  disk.MakeRoom();
  world.daemon().Start();
  CountEnded(world.daemon(), living, tally);
  CountLeaks(world, tally);
  FinishRow(world, tally);
}

}  // namespace
}  // namespace shadow
