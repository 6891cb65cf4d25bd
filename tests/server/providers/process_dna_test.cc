// What the names and numbers of a DNA mean to the process provider, and which of them it refuses.
#include "server/providers/process_dna.h"

#include <google/protobuf/text_format.h>
#include <signal.h>

#include <catch2/catch.hpp>

#include "server/core/error.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// `change`: text protobuf.
v1::Dna DnaWith(const std::string& change) {
  v1::Dna dna = TestDna().dna;
  REQUIRE(google::protobuf::TextFormat::MergeFromString(change, &dna));
  return dna;
}

TEST_CASE("a signal, user, capability, limit or port that Linux does not have is refused") {
  struct Row {
    const char* change;
    const char* field;
    const char* message_part;
  };
  for (const Row& row : {
           Row{"security { user: 'a b' }", "dna.security.user", "\"a b\""},
           {"security { user: '4294967295' }", "dna.security.user", "user number"},
           {"security { user: '99999999999999999999' }", "dna.security.user", "user number"},
           {"security { capabilities: 'CAP_ALL' }", "dna.security.capabilities[0]", "CAP_ALL"},
           {"security { capabilities: 'cap_chown' }", "dna.security.capabilities[0]", "cap_chown"},
           {"security { capabilities: 'CAP_BPF' capabilities: 'CAP_BPF' }",
            "dna.security.capabilities[1]", "twice"},
           {"resources { tasks_max: -1 }", "dna.resources.tasks_max", "-1"},
           {"resources { tasks_max: 4194305 }", "dna.resources.tasks_max", "4194304"},
           {"resources { open_files_max: 0 }", "dna.resources.open_files_max", "0 is not"},
           {"network { port_min: 3000 }", "dna.network.port_max", "unset"},
           {"network { port_max: 3000 }", "dna.network.port_min", "unset"},
           {"network { port_min: 80 port_max: 3000 }", "dna.network.port_min", "80 is not in 1024"},
           {"network { port_min: 3000 port_max: 65536 }", "dna.network.port_max", "65535"},
           {"network { port_min: 3000 port_max: 2999 }", "dna.network.port_max", "below port_min"},
           {"process { resume_hook { signal: 'USR1' } }", "dna.process.resume_hook.signal",
            "\"USR1\" is none of SIGTERM"},
           {"process { resume_hook { signal: '' } }", "dna.process.resume_hook.signal",
            "\"\" is none of SIGTERM"},
           {"process { resume_hook { signal: 'SIGKILL' } }", "dna.process.resume_hook.signal",
            "end"},
           {"process { stop_signal: 'TERM' }", "dna.process.stop_signal", "SIGTERM, SIGINT"},
       }) {
    INFO(row.change);
    const absl::Status refused = CompileProcessDna(DnaWith(row.change)).status();
    CHECK(absl::IsInvalidArgument(refused));
    CHECK(ErrorField(refused) == row.field);
    CHECK_THAT(std::string(refused.message()), Catch::Contains(row.message_part));
  }
}

TEST_CASE("unset fields mean SIGTERM, no signal after a resume, and ports 20000 to 29999") {
  const auto compiled = CompileProcessDna(TestDna().dna);
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->stop_signal == SIGTERM);
  CHECK(compiled->resume_signal == 0);
  CHECK(compiled->port_min == 20000);
  CHECK(compiled->port_max == 29999);
}

TEST_CASE("an instance that is known by its id alone has the defaults") {
  InstanceSpec instance;
  instance.id = "a1";
  const auto compiled = CompileProcessDna(instance);
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->stop_signal == SIGTERM);
  CHECK(compiled->resume_signal == 0);
}

TEST_CASE("signals, users, capabilities, limits and ports of Linux are read") {
  const auto compiled = CompileProcessDna(DnaWith(R"pb(
    security { user: "www-data" capabilities: "CAP_NET_BIND_SERVICE" }
    resources { tasks_max: 1 open_files_max: 1048576 }
    network { port_min: 1024 port_max: 1024 }
    process {
      resume_hook { signal: "SIGUSR1" }
      stop_signal: "SIGUSR2"
    }
  )pb"));
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->stop_signal == SIGUSR2);
  CHECK(compiled->resume_signal == SIGUSR1);
  CHECK(compiled->port_min == 1024);
  CHECK(compiled->port_max == 1024);
}

TEST_CASE("a DNA that means nothing on Linux is not supported, and starts nothing") {
  ProcessWorld world;
  CompiledDna dna = TestDna();
  dna.dna.mutable_process()->set_stop_signal("TERM");
  CHECK(absl::IsInvalidArgument(world.provider().Supports(dna)));
  const InstanceSpec instance = TestInstance("a1", dna);
  const absl::Status created = Create(world.provider(), instance);
  CHECK(absl::IsInvalidArgument(created));
  CHECK(ErrorField(created) == "dna.process.stop_signal");
  CHECK(Look(world.provider(), instance).life == Life::kAbsent);
}

// As an instance that another version of the daemon has started.
TEST_CASE("an instance whose DNA is not understood is not resumed, but is ended") {
  ProcessWorld world;
  REQUIRE(Create(world.provider(), TestInstance("a1")).ok());
  CompiledDna strange = TestDna();
  strange.dna.mutable_process()->mutable_resume_hook()->set_signal("SIGSTRANGE");
  const InstanceSpec instance = TestInstance("a1", strange);
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(absl::IsInvalidArgument(Resume(world.provider(), instance)));
  CHECK(Look(world.provider(), instance).life == Life::kSuspended);
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

}  // namespace
}  // namespace shadow
