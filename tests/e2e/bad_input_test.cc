// Bad input through the real shadowctl and shadowd: a clear error, its exit code, nothing changed.
#include <sqlite3.h>

#include <algorithm>

#include "tests/e2e/shadow_world.h"
#include "tests/fakes/program_run.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

void ExpectError(const ProgramResult& result, int exit_code,
                 const std::vector<std::string>& words) {
  INFO("stdout: " << result.out << "\nstderr: " << result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(result.out == "");
  CHECK_THAT(result.err, Catch::StartsWith("error: "));
  for (const std::string& word : words) CHECK_THAT(result.err, Catch::Contains(word));
}

// What is there, without what the planner thinks of it: a step may end meanwhile.
std::string Resources(ShadowWorld& world) {
  using Pools = v1::PoolService::Stub;
  const auto list =
      ShadowWorld::Must(DaemonProcess::Call(world.daemon().pools(), &Pools::ListPools, {}));
  std::string text;
  for (v1::Pool pool : list.pools()) {
    pool.clear_conditions();
    pool.clear_provisioning_lead();
    pool.clear_activation_lead();
    text += pool.DebugString();
  }
  if (const auto shadow = world.FindShadow()) text += shadow->DebugString();
  return text + Ctl(world, {"dna", "list", "-o", "json"}).out;
}

WorldOptions Still() { return {.base_instances = 0, .haproxy = false}; }

TEST_CASE("bad requests name the field, exit with their code and change nothing") {
  ShadowWorld world(Still());
  world.CreateShadow(1);
  world.WaitForShadow(S::SUSPENDED, 0);
  REQUIRE(Ctl(world, {"usage", "push", "web", "--value", "7"}).exit_code == 0);
  const std::string before = Resources(world);
  const auto instances = world.daemon().TaggedProcesses();
  const std::string name = world.Shadow().name();

  ExpectError(Ctl(world, {"pool", "get", "No_Such"}), 2, {"INVALID_ARGUMENT", "name"});
  ExpectError(Ctl(world, {"pool", "get", "missing"}), 3, {"NOT_FOUND", "pools/missing"});
  ExpectError(Ctl(world, {"shadow", "activate", name, "--level", "101"}), 2, {"level", "101"});
  ExpectError(Ctl(world, {"shadow", "create", "web", "--increase", "10"}), 5,
              {"ALREADY_EXISTS", name});
  ExpectError(Ctl(world, {"usage", "push", "web", "--value", "nan"}), 2, {"INVALID_ARGUMENT"});
  ExpectError(Ctl(world, {"usage", "push", "web", "--value=-1"}), 2, {"value", "-1"});
  ExpectError(
      Ctl(world, {"usage", "push", "web", "--value", "1", "--time", "2020-01-01T00:00:00Z"}), 2,
      {"time", "2020-01-01"});
  ExpectError(Ctl(world, {"apply", "-f", "-"},
                  {.text = "name: pools/other\ndna: dnas/none\ninstance_capacity: 5\n"
                           "external_capacity: 5\n"}),
              3, {"dnas/none"});
  ExpectError(Ctl(world, {"apply", "-f", "-"}, {.text = "name: dnas/x\nprocesss: {argv: [a]}\n"}),
              2, {"processs"});
  CHECK(Resources(world) == before);
  CHECK(world.daemon().TaggedProcesses() == instances);
  world.Finish();
}

TEST_CASE("a pool with an active shadow is not deleted") {
  ShadowWorld world(Still());
  world.CreateShadow(1);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 1);
  ExpectError(Ctl(world, {"pool", "delete", "web"}), 5, {"FAILED_PRECONDITION"});
  CHECK(world.Shadow().state() == S::ACTIVE);
  world.Finish();
}

TEST_CASE("a request id with another content is refused, with the same it is answered again") {
  ShadowWorld world(Still());
  const std::vector<std::string> create = {"shadow",       "create", "web", "--increase", "100",
                                           "--request-id", "one",    "-o",  "json"};
  const ProgramResult first = Ctl(world, create);
  INFO(first.err);
  REQUIRE(first.exit_code == 0);
  world.WaitForShadow(S::SUSPENDED, 0);
  const ProgramResult again = Ctl(world, create);
  CHECK(again.exit_code == 0);
  CHECK(again.out == first.out);
  ExpectError(Ctl(world, {"shadow", "create", "web", "--increase", "50", "--request-id", "one"}), 5,
              {"ALREADY_EXISTS", "request_id"});
  CHECK(world.Shadow().target_instances() == 2);

  const ProgramResult get = Ctl(world, {"shadow", "get", world.Shadow().name(), "-o", "json"});
  for (const char* field : {"name", "state", "targetInstances", "targetActivationLevel",
                            "servingInstances", "dnaRevision", "holdUntilTime"}) {
    CHECK_THAT(get.out, Catch::Contains('"' + std::string(field) + '"'));
  }
  world.Finish();
}

TEST_CASE("a configuration with a typo and a second daemon end with their exit codes") {
  ShadowWorld world(Still(), false);
  DaemonProcess& daemon = world.daemon();
  const ProgramResult second = RunProgram(daemon.Argv());
  CHECK(second.exit_code == 75);
  CHECK_THAT(second.err, Catch::Contains(std::to_string(daemon.pid())));

  const std::string config = daemon.directory() + "/typo.textproto";
  std::ofstream(config) << "log_level: \"info\"\nlog_levle: \"info\"\n";
  const ProgramResult typo = RunProgram({SHADOW_BIN_DIR "/shadowd", "--config", config});
  CHECK(typo.exit_code == 78);
  CHECK_THAT(typo.err, Catch::Contains("log_levle") && Catch::Contains("2:"));

  const std::string address = daemon.address();
  CHECK(daemon.Terminate() == 0);
  const ProgramResult nobody =
      RunProgram({SHADOW_BIN_DIR "/shadowctl", "--address", address, "--timeout", "1s", "status"});
  CHECK(nobody.exit_code == 6);
  CHECK_THAT(nobody.err, Catch::Contains("UNAVAILABLE") && Catch::Contains("shadowd.sock"));
}

TEST_CASE("a store of a newer schema ends the daemon with the exit code that is not tried again") {
  ShadowWorld world(Still(), false);
  DaemonProcess& daemon = world.daemon();
  const std::vector<std::string> argv = daemon.Argv();
  CHECK(daemon.Terminate() == 0);
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((daemon.directory() + "/state/state.db").c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, "PRAGMA user_version=4711", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  const ProgramResult newer = RunProgram(argv);
  CHECK(newer.exit_code == 78);
  CHECK_THAT(newer.err, Catch::Contains("schema version 4711"));
}

TEST_CASE("events from a revision that never was are refused, watched or listed") {
  ShadowWorld world(Still());
  for (const bool watch : {true, false}) {
    std::vector<std::string> events = {"events", "--since", "-5"};
    if (watch) events.push_back("--watch");
    ExpectError(Ctl(world, events), 2, {"INVALID_ARGUMENT", "since_revision", "-5"});
  }
  ExpectError(Ctl(world, {"events", "--watch", "--since", "1000000"}), 1,
              {"OUT_OF_RANGE", "since_revision", "1000000"});
  world.Finish();
}

TEST_CASE("a value that means nothing on Linux is refused before anything is stored") {
  struct Row {
    std::string fields;
    std::string field;
    std::string problem;
  };
  ShadowWorld world(Still());
  const std::string before = Resources(world);
  const std::string run = "process: {argv: [/bin/true]";
  for (const Row& row :
       {Row{run + ", stop_signal: TERM}", "dna.process.stop_signal", "\"TERM\" is none of SIGTERM"},
        Row{run + "}\nsecurity: {capabilities: [CAP_ALL]}", "dna.security.capabilities[0]",
            "\"CAP_ALL\" is not a capability"},
        Row{run + "}\nnetwork: {port_min: 80, port_max: 90}", "dna.network.port_min",
            "80 is not in 1024 to 65535"}}) {
    for (const char* dna : {"dnas/new", "dnas/web"}) {  // One is created, the other updated.
      const ProgramInput input{.text = absl::StrCat("name: ", dna, "\n", row.fields, "\n")};
      const std::vector<std::string> words = {"INVALID_ARGUMENT", row.field, row.problem};
      ExpectError(Ctl(world, {"apply", "-f", "-"}, input), 2, words);
      ExpectError(Ctl(world, {"apply", "-f", "-", "--dry-run"}, input), 2, words);
    }
  }
  CHECK(Resources(world) == before);
  world.Finish();
}

TEST_CASE("a field that cannot be enforced is refused, also when it is the only one sent") {
  ShadowWorld world(Still());
  v1::UpdateDnaRequest request;
  request.mutable_dna()->set_name("dnas/web");
  request.mutable_dna()->mutable_operating_system()->set_image("debian:12");
  request.mutable_dna()->mutable_operating_system()->set_image_digest("sha256:" +
                                                                      std::string(64, 'a'));
  request.mutable_update_mask()->add_paths("operating_system");
  const auto updated =
      DaemonProcess::Call(world.daemon().dnas(), &v1::DnaService::Stub::UpdateDna, request);
  CHECK(updated.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(updated.status().message()), Catch::Contains("image"));
  world.Finish();
}

TEST_CASE("who can only read may read and change nothing") {
  constexpr uid_t kNobody = 65534;
  if (getuid() != 0) {
    WARN("needs root to become another user: left out");
    return;
  }
  ShadowWorld world(Still());
  struct stat socket_stat {};
  REQUIRE(stat(world.daemon().socket_path().c_str(), &socket_stat) == 0);
  CHECK((socket_stat.st_mode & 07777) == 0660);
  const ProgramInput as_nobody{.text = "", .uid = kNobody};
  CHECK(Ctl(world, {"pool", "get", "web"}, as_nobody).exit_code == 4);  // The socket refuses.
  REQUIRE(chown(world.daemon().socket_path().c_str(), 0, kNobody) == 0);

  const ProgramResult read = Ctl(world, {"pool", "get", "web", "-o", "json"}, as_nobody);
  INFO(read.err);
  CHECK(read.exit_code == 0);
  CHECK_THAT(read.out, Catch::Contains("pools/web"));
  const std::string before = Resources(world);
  ExpectError(Ctl(world, {"shadow", "create", "web", "--increase", "10"}, as_nobody), 4,
              {"PERMISSION_DENIED"});
  CHECK(Resources(world) == before);
  world.Finish();
}

}  // namespace
}  // namespace shadow
