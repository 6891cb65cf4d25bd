// A kind that has its row in server/core/spec/kinds.cc can also be made.
#include "server/core/spec/kinds.h"

#include <catch2/catch.hpp>

#include "server/adapters.h"
#include "server/core/clock.h"
#include "server/daemon.h"
#include "server/simulation_worker.h"
#include "storage/room/room.h"
#include "tests/fakes/all_kinds.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

TEST_CASE("every kind that a pool may name is made by the daemon") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  Room room(directory.path());
  SimulationWorker simulations;
  SystemClock clock;
  Config config;
  config.state_dir = directory.path();
  v1::StoreContents contents;
  contents.set_store_id("store");
  contents.set_epoch("store/epoch");
  const auto adapters = MakeAdapters(config, 0, contents, *store, room, simulations, clock);
  INFO(adapters.status());
  REQUIRE(adapters.ok());
  v1::Provider cluster;  // Nobody answers there.
  cluster.mutable_kubernetes()->set_api_server("http://127.0.0.1:9");
  cluster.mutable_kubernetes()->set_namespace_("shop");
  for (v1::Provider spec : AllKinds<v1::Provider>()) {
    if (spec.has_kubernetes()) spec = cluster;
    INFO(spec.ShortDebugString());
    CHECK(adapters->providers->Get(*CompileProvider(spec)).ok());
  }
  for (const v1::Balancer& spec : AllKinds<v1::Balancer>()) {
    INFO(spec.ShortDebugString());
    v1::Pool pool;
    *pool.mutable_balancer() = spec;
    if (spec.has_service()) *pool.mutable_provider() = cluster;
    CHECK((adapters->make_balancer(pool) != nullptr) == KindOf(spec).told);
  }
  for (const v1::UsageSource& spec : AllKinds<v1::UsageSource>()) {
    INFO(spec.ShortDebugString());
    CHECK((adapters->make_usage_source(v1::Pool(), spec) != nullptr) == KindOf(spec).polled);
  }
}

}  // namespace
}  // namespace shadow
