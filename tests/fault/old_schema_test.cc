// A daemon on the store of another version: an older one is taken over, a newer one is refused.
#include "tests/e2e/shadow_world.h"
#include "tests/fakes/daemon_process.h"
#include "tests/fault/tally.h"
#include "tests/storage/old_store.h"

namespace shadow {
namespace {

// Ends the daemon and takes its store away; the directory stays.
void EndWithoutStore(DaemonProcess& daemon) {
  REQUIRE(daemon.Terminate() == 0);
  for (const char* file : {"state.db", "metrics.db"}) {
    REQUIRE(std::filesystem::remove(daemon.state_dir() + "/" + file));
  }
}

TEST_CASE("a store of the first version is taken over with its pools, DNAs and events") {
  Tally tally("store of the first version", "start");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  EndWithoutStore(daemon);
  MakeOldStore(daemon.state_dir(), {.state = 1, .metrics = 1});
  daemon.Start();
  tally.Try();
  CHECK(daemon.store_id() == "5d3c1f0a-7b2e-4c11-9a55-0123456789ab");
  v1::GetPoolRequest pool_request;
  pool_request.set_name("pools/web");
  const auto pool =
      DaemonProcess::Call(daemon.pools(), &v1::PoolService::Stub::GetPool, pool_request);
  INFO(pool.status());
  tally.Lose(pool.ok() ? 0 : 1);
  REQUIRE(pool.ok());
  CHECK(pool->external_capacity() == 100);
  v1::GetDnaRequest dna_request;
  dna_request.set_name("dnas/web");
  const auto dna = DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::GetDna, dna_request);
  INFO(dna.status());
  tally.Lose(dna.ok() ? 0 : 1);
  REQUIRE(dna.ok());
  CHECK(dna->process().argv(0) == "/bin/sleep");
  v1::ListShadowPoolsRequest shadows_request;
  shadows_request.set_parent("pools/web");
  const auto shadows = DaemonProcess::Call(
      daemon.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, shadows_request);
  REQUIRE(shadows.ok());
  tally.Lose(1 - shadows->shadow_pools_size());
  const auto status =
      DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {});
  REQUIRE(status.ok());
  CHECK(status->revision() >= 4);
  REQUIRE(daemon.Terminate() == 0);
  CHECK(std::filesystem::exists(daemon.state_dir() + "/metrics.db.v1.backup"));
}

TEST_CASE("a store of a newer version is refused for good, names both, and is left as it is") {
  Tally tally("store of a newer version", "starts");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  for (const char* name : {"metrics.db", "state.db"}) {
    const std::string file = daemon.state_dir() + "/" + name;
    RunSql(file, "PRAGMA user_version=4711");
    const std::string before = ReadFile(file);
    CHECK(daemon.StartInVain() == kExitConfig);
    CHECK_THAT(daemon.Log(), Catch::Contains(file + " has schema version 4711"));
    CHECK(ReadFile(file) == before);
    tally.Try();
    tally.Lose(ReadFile(file) == before ? 0 : 1);
  }
}

}  // namespace
}  // namespace shadow
