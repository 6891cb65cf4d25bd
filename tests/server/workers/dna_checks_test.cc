// Providers that are asked about DNAs and never answer.
#include "server/workers/dna_checks.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

constexpr absl::Duration kSlack = absl::Seconds(8);

// Says nothing about a DNA until it is let go; then that it supports all.
class SilentProvider final : public Provider {
 public:
  absl::Status Supports(const CompiledDna& /*dna*/) override {
    ++asked_;
    silent_.wait(true);
    return absl::OkStatus();
  }
  std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) override {
    return std::vector<absl::Status>(operations.size());
  }
  absl::StatusOr<Observation> Inspect(const InstanceSpec& /*instance*/) override {
    return Observation();
  }
  absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& /*instance*/,
                                                    Part /*part*/) override {
    return std::nullopt;
  }
  absl::StatusOr<std::vector<Observation>> List() override { return std::vector<Observation>(); }

  int asked() const { return asked_; }
  void LetGo() {
    silent_ = false;
    silent_.notify_all();
  }

 private:
  std::atomic<bool> silent_ = true;
  std::atomic<int> asked_ = 0;
};

// The provider "silent", "away", which is not there, and all others, which answer.
class CheckWorld {
 public:
  CheckWorld()
      : checks_(std::make_unique<DnaChecks>(
            [this](const CompiledProvider& provider) -> absl::StatusOr<Provider*> {
              if (provider.key == "away") return absl::UnavailableError("it is away");
              if (provider.key == "silent") return &silent_;
              return &quick_;
            },
            clock_, kSlack)) {}
  ~CheckWorld() {
    silent_.LetGo();
    checks_.reset();
  }
  CheckWorld(const CheckWorld&) = delete;
  CheckWorld& operator=(const CheckWorld&) = delete;

  // Returns the question's number.
  size_t Ask(const std::vector<std::string>& keys) {
    DnaQuestion question{.providers = {}, .dna = std::make_shared<const CompiledDna>(TestDna())};
    for (const std::string& key : keys) {
      auto provider = std::make_shared<CompiledProvider>(*DefaultProvider());
      provider->key = key;
      question.providers.push_back(std::move(provider));
    }
    size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = answers_.size();
      answers_.emplace_back();
    }
    checks_->Ask(question, [this, number](const absl::Status& status) {
      const std::lock_guard lock(mutex_);
      answers_[number].push_back(status);
    });
    return number;
  }
  size_t Answers(size_t number) {
    const std::lock_guard lock(mutex_);
    return answers_[number].size();
  }
  absl::Status Await(size_t number) {
    REQUIRE(PollUntil(kPatience, [&] { return Answers(number) > 0; }));
    const std::lock_guard lock(mutex_);
    return answers_[number].front();
  }
  void AwaitSilent(int calls) {
    REQUIRE(PollUntil(kPatience, [&] { return silent_.asked() >= calls; }));
  }

  SilentProvider& silent() { return silent_; }
  FakeProvider& quick() { return quick_; }
  ManualClock& clock() { return clock_; }
  DnaChecks& checks() { return *checks_; }

 private:
  ManualClock clock_;
  SilentProvider silent_;
  FakeProvider quick_;
  std::mutex mutex_;
  std::vector<std::vector<absl::Status>> answers_;  // Of each question: one, or it is wrong.
  std::unique_ptr<DnaChecks> checks_;
};

}  // namespace

TEST_CASE("a question has the answer of its provider") {
  CheckWorld world;
  CHECK(world.Await(world.Ask({"quick"})).ok());
  world.quick().Fail(FakeProvider::Verb::kSupports, "",
                     FieldError("dna.resources", "cannot be limited"));
  CHECK(ErrorField(world.Await(world.Ask({"quick"}))) == "dna.resources");
}

TEST_CASE("a provider that is not there, or no provider, refuses nothing") {
  CheckWorld world;
  CHECK(world.Await(world.Ask({"away"})).ok());
  CHECK(world.Await(world.Ask({})).ok());
}

TEST_CASE("who asks a provider that never answers is told so in time, and others are answered") {
  CheckWorld world;
  const size_t asked = world.Ask({"silent"});
  world.AwaitSilent(1);
  CHECK(world.Await(world.Ask({"quick"})).ok());
  world.clock().Advance(DefaultProvider()->traits.call_time + kSlack - absl::Milliseconds(1));
  CHECK(world.Await(world.Ask({"quick"})).ok());
  CHECK(world.Answers(asked) == 0);
  world.clock().Advance(absl::Milliseconds(1));
  const absl::Status silent = world.Await(asked);
  CHECK(absl::IsDeadlineExceeded(silent));
  CHECK(ErrorReason(silent) == "PROVIDER_SILENT");
  CHECK(silent.message() == "DNA checks of provider silent: no answer within 10s");
  // What comes too late is no second answer.
  world.silent().LetGo();
  CHECK(world.Await(world.Ask({"silent"})).ok());
  CHECK(world.Answers(asked) == 1);
}

TEST_CASE("a question of several providers is answered when all have, or when one refuses") {
  CheckWorld world;
  const size_t both = world.Ask({"quick", "silent"});
  world.AwaitSilent(1);
  REQUIRE(PollUntil(kPatience,
                    [&] { return world.quick().Calls(FakeProvider::Verb::kSupports) == 1; }));
  world.quick().Fail(FakeProvider::Verb::kSupports, "",
                     FieldError("dna.resources", "cannot be limited"));
  const size_t refused = world.Ask({"silent", "quick"});
  CHECK(ErrorField(world.Await(refused)) == "dna.resources");
  CHECK(world.Answers(both) == 0);
  world.silent().LetGo();
  CHECK(world.Await(both).ok());
  CHECK(world.Await(world.Ask({"silent"})).ok());
  CHECK(world.Answers(refused) == 1);
}

TEST_CASE("a provider that has not answered four is not asked again until it answers") {
  CheckWorld world;
  std::vector<size_t> asked;
  for (int i = 0; i < DnaChecks::kCallsMax; ++i) asked.push_back(world.Ask({"silent"}));
  world.AwaitSilent(DnaChecks::kCallsMax);
  const size_t behind = world.Ask({"silent"});
  world.clock().Advance(absl::Seconds(10));
  for (const size_t number : asked) CHECK(absl::IsDeadlineExceeded(world.Await(number)));
  for (const size_t number : {behind, world.Ask({"silent"})}) {
    const absl::Status refused = world.Await(number);
    CHECK(absl::IsUnavailable(refused));
    CHECK(ErrorReason(refused) == "PROVIDER_SILENT");
    CHECK(refused.message() == "DNA checks of provider silent: 4 calls have not returned in time");
  }
  CHECK(world.Await(world.Ask({"quick"})).ok());
}

TEST_CASE("when the daemon ends nobody waits for a provider that never answers") {
  CheckWorld world;
  const size_t asked = world.Ask({"silent"});
  world.AwaitSilent(1);
  world.checks().Refuse();
  CHECK(absl::IsUnavailable(world.Await(asked)));
  CHECK(absl::IsUnavailable(world.Await(world.Ask({"quick"}))));
}

}  // namespace shadow
