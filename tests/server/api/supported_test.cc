#include "server/api/supported.h"

#include <catch2/catch.hpp>
#include <memory>

#include "server/core/error.h"
#include "tests/fakes/fake_provider.h"

namespace shadow {
namespace {

constexpr int kAlways = 1'000'000;

v1::Dna SmallDna() {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.mutable_process()->add_argv("/bin/true");
  return dna;
}

v1::Pool SmallPool() {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  pool.add_usage_sources()->mutable_pushed();
  pool.set_external_capacity(100);
  pool.set_instance_capacity(50);
  return pool;
}

// Two providers: "process", which pools have by default, and "other".
struct TwoProviders {
  TwoProviders() {
    for (const char* name : {"process", "other"}) {
      adapters.providers[name] = std::make_unique<FakeProvider>();
    }
    auto dnas = std::make_shared<DnaMap>();
    (*dnas)["dnas/web"] = SmallDna();
    snapshot.dnas = dnas;
  }

  void Refuse(const std::string& provider) {
    auto& fake = dynamic_cast<FakeProvider&>(*adapters.providers.at(provider));
    fake.Fail(FakeProvider::Verb::kSupports, "", FieldError("dna.resources", "cannot be limited"),
              kAlways);
  }

  void AddPool(const std::string& provider) {
    auto entry = std::make_shared<PoolSnapshot>();
    entry->pool = SmallPool();
    entry->pool.set_provider(provider);
    snapshot.pools.Set("pools/web", entry);
  }

  Adapters adapters;
  Snapshot snapshot;
};

TEST_CASE("a DNA that no pool runs is for any provider that can enforce it") {
  TwoProviders world;
  world.Refuse("process");
  CHECK(CheckDnaSupported(world.adapters, world.snapshot, SmallDna()).ok());
  world.Refuse("other");
  const absl::Status refused = CheckDnaSupported(world.adapters, world.snapshot, SmallDna());
  CHECK(ErrorField(refused) == "dna.resources");
}

TEST_CASE("a new revision is asked of the providers of the pools that run it") {
  TwoProviders world;
  world.Refuse("other");
  world.AddPool("process");
  CHECK(CheckDnaSupported(world.adapters, world.snapshot, SmallDna()).ok());
  world.AddPool("other");
  const absl::Status refused = CheckDnaSupported(world.adapters, world.snapshot, SmallDna());
  CHECK(ErrorField(refused) == "dna.resources");
}

TEST_CASE("a pool's DNA is asked of its own provider") {
  TwoProviders world;
  world.Refuse("other");
  CHECK(CheckPoolSupported(world.adapters, world.snapshot, SmallPool()).ok());
  world.Refuse("process");
  const absl::Status refused = CheckPoolSupported(world.adapters, world.snapshot, SmallPool());
  CHECK(ErrorField(refused) == "dna.resources");
}

TEST_CASE("what is malformed or not there is left to the control loop") {
  TwoProviders world;
  world.Refuse("process");
  world.Refuse("other");
  CHECK(CheckDnaSupported(world.adapters, world.snapshot, v1::Dna()).ok());
  v1::Pool unknown = SmallPool();
  unknown.set_dna("dnas/none");
  CHECK(CheckPoolSupported(world.adapters, world.snapshot, unknown).ok());
}

}  // namespace
}  // namespace shadow
