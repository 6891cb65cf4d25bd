// shadowctl rollout ...: how far it is, what there was before, and the way back.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr std::int64_t kRolloutSeconds = 1777636800;  // As of run_shadowctl.h.

// pools/web on the revision `in_use` of r1, r2, r3, each an hour younger than the one before.
void AddRollout(FakeDaemon& daemon, const std::string& in_use) {
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  pool.set_dna_revision("dnas/web@" + in_use);
  pool.set_etag("looked at");
  for (int i = 1; i <= 3; ++i) {
    const std::string revision = "r" + std::to_string(i);
    v1::Dna& dna = daemon.state.dnas["dnas/web@" + revision];
    dna.set_name("dnas/web");
    dna.set_revision(revision);
    dna.mutable_process()->add_argv("/srv/web");
    dna.mutable_process()->add_argv(revision);
    dna.mutable_update_time()->set_seconds(kRolloutSeconds - 3600 * (6 - i));
  }
}

v1::Instance& AddOfRevision(FakeDaemon& daemon, const std::string& revision,
                            v1::Instance::State state = v1::Instance::ACTIVE) {
  v1::Instance& instance = daemon.state.instances.emplace_back();
  instance.set_name("pools/web/instances/i" + std::to_string(daemon.state.instances.size()));
  instance.set_dna_revision("dnas/web@" + revision);
  instance.set_state(state);
  return instance;
}

TEST_CASE("the status of a roll-out counts the instances that take part in it") {
  FakeDaemon daemon;
  AddRollout(daemon, "r2");
  AddOfRevision(daemon, "r2");
  AddOfRevision(daemon, "r1");
  AddOfRevision(daemon, "r1", v1::Instance::DELETING);
  AddOfRevision(daemon, "r2", v1::Instance::FAILED);
  AddOfRevision(daemon, "r1").set_cordoned(true);
  Ran ran = Run(daemon, {"rollout", "status", "web"});
  CHECK(ran.out == "pools/web: 1 of 2 instances runs dnas/web@r2\n");
  daemon.state.pools["pools/web"].set_rollout_paused(true);
  ran = Run(daemon, {"rollout", "status", "web"});
  CHECK(ran.out == "pools/web: 1 of 2 instances runs dnas/web@r2; paused: newer revisions wait\n");
  // A wait would last until it is resumed, so it ends.
  CHECK(Run(daemon, {"rollout", "status", "web", "--wait"}).exit_code == 0);
}

TEST_CASE("the wait for a roll-out shows how far it is, and ends with it or with the time") {
  FakeDaemon daemon;
  AddRollout(daemon, "r2");
  AddOfRevision(daemon, "r2");
  daemon.state.pools["pools/web"].set_reconciling(true);
  daemon.state.gets_until_settled = 3;
  const Ran ran = Run(daemon, {"rollout", "status", "web", "--wait"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "pools/web: 1 of 1 instance runs dnas/web@r2, some are not ready yet\n");
  CHECK(ran.out == "pools/web: 1 of 1 instance runs dnas/web@r2\n");

  AddOfRevision(daemon, "r1");
  const Ran late = Run(daemon, {"rollout", "status", "web", "--wait", "--timeout", "3s"});
  CHECK(late.exit_code == 6);
  CHECK_THAT(late.err, Catch::Contains("(--timeout): pools/web: 1 of 2 instances runs "));
}

TEST_CASE("the history of a roll-out has each revision, and the one in use") {
  FakeDaemon daemon;
  AddRollout(daemon, "r2");
  AddOfRevision(daemon, "r2");
  AddOfRevision(daemon, "r1");
  AddOfRevision(daemon, "r1");
  const Ran ran = Run(daemon, {"rollout", "history", "web"});
  INFO(ran.err);
  CHECK(ran.out ==
        "REVISION  IN USE  INSTANCES  AGE  COMMAND\n"
        "r1        no              2  5h   /srv/web r1\n"
        "r2        yes             1  4h   /srv/web r2\n"
        "r3        no              0  3h   /srv/web r3\n");
  CHECK_THAT(Run(daemon, {"rollout", "history", "web", "-o", "json"}).out,
             Catch::Contains("\"revision\": \"r3\""));
}

TEST_CASE("a roll-out is undone to the revision before, or to the one that was asked for") {
  const struct {
    std::string wanted;
    std::string revision;
  } table[] = {{"", "r1"}, {"r3", "r3"}, {"r1", "r1"}};
  for (const auto& [wanted, revision] : table) {
    FakeDaemon daemon;
    AddRollout(daemon, "r2");
    daemon.state.pools["pools/web"].set_rollout_paused(true);
    std::vector<std::string> command = {"rollout", "undo", "web"};
    if (!wanted.empty()) command.insert(command.end(), {"--to-revision", wanted});
    const Ran ran = Run(daemon, command);
    INFO(ran.err);
    CHECK(ran.out == "pools/web goes back to dnas/web@" + revision +
                         ", and stays there until its `dna` is set to another one\n");
    const v1::UpdatePoolRequest& sent = daemon.state.update_pool;
    CHECK(sent.pool().dna() == "dnas/web@" + revision);
    CHECK_FALSE(sent.pool().rollout_paused());
    CHECK(sent.pool().etag() == "looked at");  // So that nothing that came meanwhile is undone.
    REQUIRE(sent.update_mask().paths_size() == 2);
    CHECK(sent.update_mask().paths(0) == "dna");
    CHECK(sent.update_mask().paths(1) == "rollout_paused");
  }
}

TEST_CASE("a roll-out that cannot be undone says why, and changes nothing") {
  const struct {
    const char* in_use;
    std::vector<std::string> arguments;
    int exit_code;
    const char* error;
  } table[] = {
      {"r1",
       {"web"},
       5,
       "error: FAILED_PRECONDITION: dnas/web@r1 is the first revision; no earlier one exists\n"},
      {"r2",
       {"web", "--to-revision", "r7"},
       3,
       "error: NOT_FOUND: --to-revision: r7 is no revision of it; `shadowctl rollout history` "
       "lists them\n"},
      {"gone",
       {"web"},
       5,
       "error: FAILED_PRECONDITION: dnas/web@gone is not among the revisions that are kept; name "
       "one of them with --to-revision; `shadowctl rollout history` lists them\n"},
      {"r2", {"wbe"}, 3, "error: NOT_FOUND: name: pools/wbe is not there"},
  };
  for (const auto& row : table) {
    FakeDaemon daemon;
    AddRollout(daemon, row.in_use);
    std::vector<std::string> command = {"rollout", "undo"};
    command.insert(command.end(), row.arguments.begin(), row.arguments.end());
    const Ran ran = Run(daemon, command);
    INFO(row.error);
    CHECK(ran.exit_code == row.exit_code);
    CHECK(ran.out.empty());
    CHECK_THAT(ran.err, Catch::StartsWith(row.error));
    CHECK_FALSE(daemon.state.update_pool.has_pool());
  }
}

TEST_CASE("a roll-out is paused and resumed by one field, and a dry run says so") {
  const struct {
    const char* verb;
    bool paused;
    const char* said;
  } table[] = {{"pause", true, "paused"}, {"resume", false, "resumed"}};
  for (const auto& row : table) {
    FakeDaemon daemon;
    AddRollout(daemon, "r2");
    Ran ran = Run(daemon, {"rollout", row.verb, "web", "--dry-run"});
    CHECK(ran.out == std::string("pools/web ") + row.said + " (dry run: nothing was changed)\n");
    CHECK(daemon.state.update_pool.validate_only());
    ran = Run(daemon, {"rollout", row.verb, "web"});
    CHECK(ran.out == std::string("pools/web ") + row.said + "\n");
    CHECK(daemon.state.update_pool.pool().rollout_paused() == row.paused);
    REQUIRE(daemon.state.update_pool.update_mask().paths_size() == 1);
    CHECK(daemon.state.update_pool.update_mask().paths(0) == "rollout_paused");
    ran = Run(daemon, {"rollout", row.verb, "nosuch"});
    CHECK(ran.exit_code == 3);
    CHECK_THAT(ran.err, Catch::Contains("pools/nosuch"));
  }
}

}  // namespace
}  // namespace shadow
