// What a start asks of providers other than the default one.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "server/core/clock.h"
#include "server/recovery.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

// A store with two pools of units, and a default provider that nobody may ask.
struct TwoPools {
  TwoPools() {
    contents.set_store_id("store");
    contents.set_epoch("store/2");
    contents.set_last_revision(100);
    for (const char* name : {"pools/a", "pools/b"}) {
      contents.add_pools()->mutable_pool()->set_name(name);
      contents.mutable_pools()->rbegin()->mutable_pool()->mutable_provider()->mutable_systemd();
    }
    contents.add_pools()->mutable_pool()->set_name("pools/c");
    auto made = std::make_unique<FakeProvider>();
    units = made.get();
    units->Set([](FakeProvider::Knobs& knobs) { knobs.epoch = "other/1"; });
    units->AddOrphan(TestInstance("i7"));
    adapters.providers = std::make_unique<Providers>(
        [this, only = std::make_shared<std::unique_ptr<Provider>>(std::move(made))](
            const v1::Provider& spec) -> absl::StatusOr<std::unique_ptr<Provider>> {
          REQUIRE(spec.has_systemd());
          if (away) return absl::UnavailableError("away");
          return std::move(*only);
        });
  }

  absl::Status Check(bool end) { return CheckOthers(adapters, contents, end, clock); }

  bool away = false;
  v1::StoreContents contents;
  SystemClock clock;
  FakeProvider* units = nullptr;
  Adapters adapters;
};

TEST_CASE("a start is refused where another provider has instances that the store cannot know") {
  TwoPools world;
  const absl::Status refused = world.Check(/*end=*/false);
  CHECK(absl::IsDataLoss(refused));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("i7"));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("--recover=adopt takes none of it"));
  CHECK(world.units->Lives().contains("i7"));

  CHECK(world.Check(/*end=*/true).ok());
  CHECK(world.units->Lives().empty());
  CHECK(world.Check(/*end=*/false).ok());
}

TEST_CASE("a provider that is away, or does not list, keeps nobody from starting") {
  TwoPools world;
  world.units->Fail(FakeProvider::Verb::kList, "", absl::UnavailableError("no answer"));
  CHECK(world.Check(/*end=*/false).ok());
  TwoPools gone;
  gone.away = true;
  CHECK(gone.Check(/*end=*/false).ok());
}

}  // namespace
}  // namespace shadow
