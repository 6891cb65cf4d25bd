#include "server/api/supported.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "server/core/error.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/one_provider.h"
#include "tests/server/api/api_world.h"
#include "tests/server/core/loop_requests.h"

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

struct SupportWorld {
  SupportWorld() {
    auto made = std::make_unique<FakeProvider>();
    provider = made.get();
    providers = ProvidersOf(std::move(made));
    auto dnas = std::make_shared<DnaMap>();
    (*dnas)["dnas/web"] = SmallDna();
    snapshot.dnas = dnas;
  }

  void Refuse() const {
    provider->Fail(
        FakeProvider::Verb::kSupports, "",
        FieldError("dna.resources", "cannot be limited", absl::StatusCode::kFailedPrecondition),
        kAlways);
  }

  void AddPool(const std::string& dna) {
    auto entry = std::make_shared<PoolSnapshot>();
    entry->pool = SmallPool();
    entry->pool.mutable_provider()->mutable_process();
    entry->pool.set_dna(dna);
    snapshot.pools.Set("pools/web", entry);
  }

  absl::Status Ask(const DnaQuestion& question) {
    std::promise<absl::Status> answer;
    DnaChecks checks([this](const CompiledProvider& asked) { return providers->Get(asked); }, clock,
                     absl::Seconds(8));
    checks.Ask(question, [&](const absl::Status& status) { answer.set_value(status); });
    return answer.get_future().get();
  }

  SystemClock clock;
  std::unique_ptr<Providers> providers;
  FakeProvider* provider = nullptr;
  Snapshot snapshot;
};

TEST_CASE("a DNA that no pool runs may be one that the default provider cannot enforce") {
  SupportWorld world;
  world.AddPool("dnas/other");
  CHECK(world.Ask(QuestionOfDna(world.snapshot, SmallDna())).ok());
  world.Refuse();
  CHECK(world.Ask(QuestionOfDna(world.snapshot, SmallDna())).ok());
}

TEST_CASE("a new revision is asked of the providers of the pools that run it, once of each") {
  SupportWorld world;
  world.AddPool("dnas/web");
  CHECK(world.Ask(QuestionOfDna(world.snapshot, SmallDna())).ok());
  CHECK(world.provider->Calls(FakeProvider::Verb::kSupports) == 1);
  world.Refuse();
  const absl::Status refused = world.Ask(QuestionOfDna(world.snapshot, SmallDna()));
  CHECK(ErrorField(refused) == "dna.resources");
}

TEST_CASE("a pool's DNA is asked of its own provider") {
  SupportWorld world;
  CHECK(world.Ask(QuestionOfPool(world.snapshot, SmallPool())).ok());
  world.Refuse();
  const absl::Status refused = world.Ask(QuestionOfPool(world.snapshot, SmallPool()));
  CHECK(ErrorField(refused) == "dna.resources");
}

TEST_CASE("a value that means nothing to the provider is malformed") {
  SupportWorld world;
  world.provider->Fail(FakeProvider::Verb::kSupports, "",
                       FieldError("dna.process.stop_signal", "\"TERM\" is no signal",
                                  absl::StatusCode::kInvalidArgument),
                       kAlways);
  const absl::Status refused = world.Ask(QuestionOfDna(world.snapshot, SmallDna()));
  CHECK(absl::IsInvalidArgument(refused));
  CHECK(ErrorField(refused) == "dna.process.stop_signal");
}

TEST_CASE("a provider that cannot be made refuses nothing") {
  SupportWorld world;
  world.providers = std::make_unique<Providers>(
      [](const v1::Provider&) -> absl::StatusOr<std::unique_ptr<Provider>> {
        return absl::UnavailableError("it is away");
      });
  CHECK(world.Ask(QuestionOfPool(world.snapshot, SmallPool())).ok());
}

TEST_CASE("what is malformed or not there is left to the control loop") {
  SupportWorld world;
  world.Refuse();
  CHECK(world.Ask(QuestionOfDna(world.snapshot, v1::Dna())).ok());
  v1::Pool unknown = SmallPool();
  unknown.set_dna("dnas/none");
  CHECK(world.Ask(QuestionOfPool(world.snapshot, unknown)).ok());
}

TEST_CASE("a provider that never answers keeps neither other requests nor the end waiting") {
  std::atomic<bool> silent = true;
  std::atomic<bool> asked = false;
  ApiWorld world([&](FakeProvider& provider) {
    provider.Set([&](FakeProvider::Knobs& knobs) {
      knobs.supports = [&](const CompiledDna&) {
        asked = true;
        silent.wait(true);
        return absl::OkStatus();
      };
    });
  });
  world.Run();
  ApiWorld::Answer answer;
  std::thread caller([&] {
    answer = world.Call("/shadow.v1.DnaService/CreateDna", CreateDna().SerializeAsString());
  });
  CHECK(PollUntil(kPatience, [&] { return asked.load(); }));
  CHECK(world.Call("/shadow.v1.DnaService/ListDnas", "").status.ok());
  CHECK(world.Call("/shadow.v1.DnaService/DeleteDna", "").status.error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  world.server().Shutdown();
  caller.join();
  CHECK(answer.status.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(answer.status.error_message() == "the daemon is ending");
  silent = false;
  silent.notify_all();
}

}  // namespace
}  // namespace shadow
