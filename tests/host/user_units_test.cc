// What a real service manager of a user makes of a DNA: each property is applied, or the start is
// refused by its field. Runs on a host that is booted for it (systemd_test.sh).
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/units/unit_look.h"
#include "server/units/unit_name.h"
#include "tests/server/providers/systemd_world.h"

namespace shadow {
namespace {

// What `script` has written until its last line, "end".
std::string OutputOf(UserUnitsWorld& world, CompiledDna dna, const std::string& script) {
  dna.dna.mutable_process()->clear_argv();
  for (const std::string& argument :
       {std::string("/bin/bash"), std::string("-c"), script + "; echo end; exec /bin/sleep 1000"}) {
    dna.dna.mutable_process()->add_argv(argument);
  }
  const InstanceSpec instance = TestInstance("a1", dna);
  const absl::Status created = Create(world.provider(), instance);
  INFO(created);
  REQUIRE(created.ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")).ends_with("end\n"); }));
  // All that is checked is also seen from outside.
  const auto differences = Verified(world.provider(), instance);
  REQUIRE(differences.has_value());
  CHECK(*differences == Provider::Differences{});
  return ReadText(world.LogPath("a1"));
}

// "yes" for each command that succeeds, else "no", joined by spaces.
std::string TryAll(const std::vector<std::string>& commands) {
  std::string script;
  for (const std::string& command : commands) {
    absl::StrAppend(&script, "if ", command,
                    " 2> /dev/null; then printf 'yes '; else printf 'no '; fi; ");
  }
  return script + "echo";
}

TEST_CASE("a data set is where the DNA mounts it, and a read-only one cannot be written at all") {
  UserUnitsWorld world;
  const std::string sets = world.directory() / "sets";
  for (const char* set : {"/fixed", "/open"}) {
    std::filesystem::create_directories(sets + set);
    WriteFile(sets + set + "/file", set);
  }
  CompiledDna dna = world.Dna();
  v1::DataSet& fixed = *dna.dna.add_data_sets();
  fixed.set_name("fixed");
  fixed.set_source(sets + "/fixed");
  fixed.set_mount_path("/mnt");
  fixed.set_read_only(true);
  v1::DataSet& open = *dna.dna.add_data_sets();
  open.set_name("open");
  open.set_source(sets + "/open");
  open.set_mount_path("/media");
  CHECK(OutputOf(world, dna,
                 TryAll({"grep -q fixed /mnt/file", "touch /mnt/new", "chmod 777 /mnt/file",
                         "touch " + sets + "/fixed/new", "grep -q open /media/file",
                         "touch /media/new"})) == "yes no no no yes yes \nend\n");
  CHECK(std::filesystem::exists(sets + "/open/new"));
}

TEST_CASE("protect_system, private_tmp and read_only_paths are kept") {
  UserUnitsWorld world;
  const std::string kept = world.directory() / "kept";
  std::filesystem::create_directories(kept);
  CompiledDna dna = world.Dna();
  v1::Security& security = *dna.dna.mutable_security();
  SECTION("of one directory") {
    security.add_read_only_paths(kept);
    CHECK(OutputOf(world, dna, TryAll({"touch " + kept + "/x", "touch $HOME/x"})) ==
          "no yes \nend\n");
  }
  SECTION("of everything") {
    security.set_protect_system(v1::Security::STRICT);
    CHECK(OutputOf(world, dna, TryAll({"touch " + kept + "/x", "touch $HOME/x"})) ==
          "no no \nend\n");
  }
  SECTION("of /tmp") {
    const std::string mine = "/tmp/of-the-test-" + std::to_string(getpid());
    WriteFile(mine, "");
    security.set_private_tmp(true);
    CHECK(OutputOf(world, dna, TryAll({"test -e " + mine, "touch /tmp/of-the-unit"})) ==
          "no yes \nend\n");
    CHECK_FALSE(std::filesystem::exists("/tmp/of-the-unit"));
    std::filesystem::remove(mine);
  }
}

TEST_CASE("system calls and address families that are not allowed fail") {
  UserUnitsWorld world;
  CompiledDna dna = world.Dna();
  const std::string call = "exec 3<>/dev/tcp/127.0.0.1/1";  // Refused by nobody who listens.
  SECTION("families") {
    dna.dna.mutable_security()->add_restrict_address_families("AF_UNIX");
    CHECK_THAT(OutputOf(world, dna, "(" + call + ") 2>&1"),
               Catch::Contains("Address family not supported"));
  }
  SECTION("calls") {
    dna.dna.mutable_security()->add_system_call_filter("@system-service");
    // chroot(2) is not in that group; who calls it is killed by SIGSYS.
    CHECK_THAT(OutputOf(world, dna, "/usr/sbin/chroot /tmp /bin/true; echo status $?"),
               Catch::Contains("status 159"));
  }
}

TEST_CASE("a secret is a variable and a credential, and in nothing that anybody is shown") {
  UserUnitsWorld world;
  const std::string file = world.directory() / "token";
  const std::string secret = "se\"c$r`e\\t of two\nlines";
  WriteFile(file, secret + "\n");
  CompiledDna dna = world.Dna();
  v1::Secret& wanted = *dna.dna.mutable_security()->add_secrets();
  wanted.set_environment_variable("TOKEN");
  wanted.set_source_file(file);
  CHECK(OutputOf(world, dna,
                 TryAll({"test \"$TOKEN\" = \"$(cat " + file + ")\"",
                         "cmp $CREDENTIALS_DIRECTORY/TOKEN " + file})) == "yes yes \nend\n");
  CHECK_FALSE(std::filesystem::exists(world.directory() / "units/a1.env"));
  auto bus = OpenBus(UnitWay::kUser);
  REQUIRE(bus.ok());
  const auto unit = world.units().Get("a1");
  REQUIRE((unit.ok() && unit->has_value()));
  const std::string name = UnitName(UnitPrefix((*unit)->store_id, "shadowtest.slice"), "a1");
  sd_bus_message* reply = nullptr;
  REQUIRE(sd_bus_get_property(bus->get(), kSystemd, UnitPath(name).c_str(), kSystemdService,
                              "Environment", nullptr, &reply, "as") >= 0);
  const BusMessage owner(reply);
  char** block = nullptr;
  REQUIRE(sd_bus_message_read_strv(reply, &block) >= 0);
  for (char** one = block; *one != nullptr; ++one) {
    CHECK(std::string(*one).find("TOKEN") == std::string::npos);
    free(*one);
  }
  free(block);
}

TEST_CASE("what cannot be started is refused by its field, and leaves nothing") {
  struct Row {
    const char* field;
    void (*change)(v1::Dna&);
  };
  const auto row =
      GENERATE(Row{"dna.process.argv",
                   [](v1::Dna& dna) { dna.mutable_process()->set_argv(0, "/etc/hostname"); }},
               Row{"dna.process.working_directory",
                   [](v1::Dna& dna) { dna.mutable_process()->set_working_directory("/no/such"); }},
               Row{"dna.security.secrets[TOKEN].source_file",
                   [](v1::Dna& dna) {
                     v1::Secret& secret = *dna.mutable_security()->add_secrets();
                     secret.set_environment_variable("TOKEN");
                     secret.set_source_file("/no/such");
                   }},
               Row{"dna.data_sets", [](v1::Dna& dna) {
                     v1::DataSet& set = *dna.add_data_sets();
                     set.set_name("d");
                     set.set_source("/no/such");
                   }});
  UserUnitsWorld world;
  CompiledDna dna = world.Dna();
  row.change(dna.dna);
  const InstanceSpec instance = TestInstance("a1", dna);
  const absl::Status refused = Create(world.provider(), instance);
  INFO(refused);
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(ErrorField(refused) == row.field);
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
  CHECK(world.provider().List()->empty());
  CHECK_FALSE(std::filesystem::exists(world.LogPath("a1")));
}

// Of its control group, in microseconds.
int64_t CpuUsed(UserUnitsWorld& world) {
  const auto unit = world.units().Get("a1");
  REQUIRE((unit.ok() && unit->has_value()));
  std::ifstream stat(CgroupPath((*unit)->control_group) + "/cpu.stat");
  std::string name;
  int64_t usec = -1;
  REQUIRE((stat >> name >> usec));
  REQUIRE(name == "usage_usec");
  return usec;
}

TEST_CASE("a suspended unit uses no CPU at all, with all that it has started") {
  UserUnitsWorld world;
  Provider& provider = world.provider();
  const InstanceSpec instance =
      TestInstance("a1", Shell("setsid bash -c 'while :; do :; done' & while :; do :; done"));
  REQUIRE(Create(provider, instance).ok());
  const auto burns = [&, last = CpuUsed(world)] { return CpuUsed(world) > last + 100'000; };
  REQUIRE(PollUntil(kPatience, burns));
  REQUIRE(Suspend(provider, instance).ok());
  CHECK(Look(provider, instance).life == Life::kSuspended);
  const int64_t frozen = CpuUsed(world);
  CHECK_FALSE(PollUntil(absl::Milliseconds(500), [&] { return CpuUsed(world) != frozen; }));
  REQUIRE(Resume(provider, instance).ok());
  CHECK(PollUntil(kPatience, [&] { return CpuUsed(world) > frozen + 100'000; }));
  // What it has started elsewhere ends with it.
  REQUIRE(Suspend(provider, instance).ok());
  REQUIRE(Destroy(provider, instance).ok());
  CHECK(Becomes(provider, instance, Life::kAbsent));
}

TEST_CASE("a unit that ends by itself says how, with its last words, also a clean end") {
  UserUnitsWorld world;
  Provider& provider = world.provider();
  const auto row = GENERATE(std::pair("echo why; exit 3", "exit status 3; last output: why"),
                            std::pair("echo bye", "exit status 0; last output: bye"));
  const InstanceSpec instance = TestInstance("a1", Shell(row.first));
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(Becomes(provider, instance, Life::kExited));
  CHECK(Look(provider, instance).exit_reason == row.second);
}

TEST_CASE("a resumed unit gets the signal of its hook") {
  UserUnitsWorld world;
  Provider& provider = world.provider();
  CompiledDna dna = Shell("trap 'echo woken' USR1; echo ready; while :; do sleep 0.05; done");
  dna.dna.mutable_process()->mutable_resume_hook()->set_signal("SIGUSR1");
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == "ready\n"; }));
  REQUIRE(Suspend(provider, instance).ok());
  REQUIRE(Resume(provider, instance).ok());
  CHECK(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")) == "ready\nwoken\n"; }));
}

TEST_CASE("a unit's log is cut by a look") {
  UserUnitsWorld world;
  world.log_max_bytes = 10'000;
  Provider& provider = world.Reopen();
  const InstanceSpec instance = TestInstance(
      "a1", Shell("for i in {1..5000}; do echo line $i; done; echo last; exec sleep 1000"));
  REQUIRE(Create(provider, instance).ok());
  REQUIRE(PollUntil(kPatience, [&] { return ReadText(world.LogPath("a1")).ends_with("last\n"); }));
  REQUIRE(Look(provider, instance).life == Life::kRunning);
  const std::string log = ReadText(world.LogPath("a1"));
  CHECK(log.size() <= 5000);
  CHECK(log.ends_with("line 5000\nlast\n"));
}

TEST_CASE("limits that the manager has no controllers for are named") {
  UserUnitsWorld world;
  CompiledDna dna = world.Dna();
  dna.dna.mutable_resources()->set_cpu_millis(500);
  dna.dna.mutable_resources()->set_memory_max_bytes(1 << 30);
  dna.dna.mutable_resources()->set_tasks_max(50);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const auto missing = Look(world.provider(), instance).missing_controllers;
  REQUIRE(missing.has_value());
  auto bus = OpenBus(UnitWay::kUser);
  REQUIRE(bus.ok());
  CHECK(*missing == MissingControllers(bus->get()));
  // Whatever is enforced here is what the DNA says.
  CHECK(Verified(world.provider(), instance) == Provider::Differences{});
}

}  // namespace
}  // namespace shadow
