// A daemon on the store of another version: an older one is taken over, a newer one is refused.
#include "tests/fakes/daemon_process.h"
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
  DaemonProcess daemon(SHADOW_BIN_DIR);
  EndWithoutStore(daemon);
  MakeOldStore(daemon.state_dir(), {.state = 1, .metrics = 1});
  daemon.Start();
  CHECK(daemon.store_id() == "5d3c1f0a-7b2e-4c11-9a55-0123456789ab");
  v1::GetPoolRequest pool_request;
  pool_request.set_name("pools/web");
  const auto pool =
      DaemonProcess::Call(daemon.pools(), &v1::PoolService::Stub::GetPool, pool_request);
  INFO(pool.status());
  REQUIRE(pool.ok());
  CHECK(pool->external_capacity() == 100);
  v1::GetDnaRequest dna_request;
  dna_request.set_name("dnas/web");
  const auto dna = DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::GetDna, dna_request);
  INFO(dna.status());
  REQUIRE(dna.ok());
  CHECK(dna->process().argv(0) == "/bin/sleep");
  v1::ListShadowPoolsRequest shadows_request;
  shadows_request.set_parent("pools/web");
  const auto shadows = DaemonProcess::Call(
      daemon.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, shadows_request);
  REQUIRE(shadows.ok());
  CHECK(shadows->shadow_pools_size() == 1);
  const auto status =
      DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {});
  REQUIRE(status.ok());
  CHECK(status->revision() >= 4);
  REQUIRE(daemon.Terminate() == 0);
  CHECK(std::filesystem::exists(daemon.state_dir() + "/metrics.db.v1.backup"));
}

TEST_CASE("a store of a newer version is refused for good, names both, and is left as it is") {
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  for (const char* name : {"metrics.db", "state.db"}) {
    const std::string file = daemon.state_dir() + "/" + name;
    RunSql(file, "PRAGMA user_version=4711");
    const std::string before = ReadFile(file);
    CHECK(daemon.StartInVain() == kExitConfig);
    CHECK_THAT(daemon.Log(), Catch::Contains(file + " has schema version 4711"));
    CHECK(ReadFile(file) == before);
  }
}

}  // namespace
}  // namespace shadow
