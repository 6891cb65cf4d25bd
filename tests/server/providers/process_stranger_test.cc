// Processes of others that say they are instances.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// A session leader with that environment, as `uid`; ended with its owner.
class Stranger {
 public:
  Stranger(const std::string& id, const std::string& store_id, uid_t uid) {
    std::string instance = "SHADOWD_INSTANCE=" + id;
    std::string store = "SHADOWD_STORE=" + store_id;
    std::string program = "/bin/sleep";
    std::string seconds = "1000";
    char* const arguments[] = {program.data(), seconds.data(), nullptr};
    char* const environment[] = {instance.data(), store.data(), nullptr};
    pid_ = fork();
    if (pid_ == 0) {
      if (setsid() < 0 || setresuid(uid, uid, uid) != 0) _exit(1);
      execve(program.c_str(), arguments, environment);
      _exit(2);
    }
    REQUIRE(PollUntil(kPatience,
                      [&] { return ReadEnvironment(pid_)->find(instance) != std::string::npos; }));
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  bool lives() const { return waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_ = 0;
};

TEST_CASE("an id from an environment that is no id names no instance, and no file") {
  ProcessWorld world;
  const std::string victim = world.directory() / "victim";
  for (const char* suffix : {".pid", ".log"}) WriteFile(victim + suffix, "x");
  for (const std::string& id :
       {std::string("../victim"), std::string("../../victim/app"), std::string("i\xff\xfe"),
        std::string("i1\nname evil"), std::string("Upper"), std::string("-")}) {
    CAPTURE(id);
    const Stranger stranger(id, world.store_id(), geteuid());
    const auto all = world.provider().List();
    REQUIRE(all.ok());
    CHECK(all->empty());
    CHECK(stranger.lives());
  }
  CHECK(ReadText(victim + ".pid") == "x");
  CHECK(ReadText(victim + ".log") == "x");
}

TEST_CASE("a process of the user of an instance is none without a holder, and keeps none from it") {
  ProcessWorld world;
  const InstanceSpec instance = TestInstance("a1");
  const Stranger stranger("a1", world.store_id(), geteuid());
  CHECK(world.provider().List()->empty());
  CHECK(Look(world.provider(), instance).life == Life::kAbsent);
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(stranger.lives());

  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kRunning));
  const Observation seen = Look(world.provider(), instance);
  CHECK(world.provider().List()->size() == 1);
  CHECK(PidOf(seen) == RecordOf(world, "a1").leader.pid);
  CHECK(RecordOf(world, "a1").holder.has_value());
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(stranger.lives());
}

TEST_CASE("a process of another user is no instance, whatever its environment says") {
  if (geteuid() != 0) {
    WARN("only root can start a process as somebody else");
    return;
  }
  constexpr uid_t kOther = 54321;
  ProcessWorld world;
  const Stranger stranger("a1", world.store_id(), kOther);
  CHECK(world.provider().List()->empty());

  const InstanceSpec instance = TestInstance("a1");
  REQUIRE(Create(world.provider(), instance).ok());
  CHECK(world.provider().List()->size() == 1);
  REQUIRE(Suspend(world.provider(), instance).ok());
  REQUIRE(Resume(world.provider(), instance).ok());
  REQUIRE(Kill(world.provider(), instance).ok());
  CHECK(PollUntil(kPatience, [&] { return world.provider().List()->empty(); }));
  CHECK(stranger.lives());
  // Nor does it keep the next one from being made.
  const Stranger next("a2", world.store_id(), kOther);
  REQUIRE(Create(world.provider(), TestInstance("a2")).ok());
  CHECK(world.provider().List()->size() == 1);
}

}  // namespace
}  // namespace shadow
