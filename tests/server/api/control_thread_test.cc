// What may leave the control thread before the store has made durable what it follows from:
// nothing.
#include "server/control_thread.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/fake_usage_source.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/one_provider.h"
#include "tests/fakes/poll.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

// Takes batches, and makes the oldest durable when it is told to. Thread-safe.
class HeldStore final : public Store {
 public:
  void Commit(v1::WriteBatch batch, absl::AnyInvocable<void(absl::Status)> done) override {
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(done));
    ++taken_;
    forecasts_ += batch.put_forecasters_size();
  }

  // False: none is held.
  bool Release(const absl::Status& status = absl::OkStatus()) {
    absl::AnyInvocable<void(absl::Status)> done;
    {
      const std::lock_guard lock(mutex_);
      if (held_.empty()) return false;
      done = std::move(held_.front());
      held_.pop_front();
    }
    done(status);
    return true;
  }

  int taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }

  // Commit does not return while this lives, and only `retrying` may be used.
  std::unique_lock<std::mutex> Hang() { return std::unique_lock(mutex_); }
  std::atomic<bool> retrying = false;

  // Saved ones that it has taken.
  int forecasts() const {
    const std::lock_guard lock(mutex_);
    return forecasts_;
  }

  absl::StatusOr<v1::StoreContents> Load() override { return v1::StoreContents(); }
  std::vector<Finding> TakeFindings() override { return {}; }
  absl::Status Stalled() const override {
    return retrying ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  }
  std::optional<absl::Time> StalledSince() const override { return std::nullopt; }
  void EndRetries() override {}
  void Configure(const Options& /*options*/) override {}
  void Prune(absl::Time /*wall*/, absl::Duration /*mono*/) override {}
  absl::StatusOr<std::vector<v1::Sample>> ReadSamples(const std::string& /*pool*/,
                                                      absl::Time /*after*/, absl::Time /*until*/,
                                                      absl::Duration /*coarsest*/,
                                                      int64_t /*limit*/) override {
    return std::vector<v1::Sample>();
  }
  absl::StatusOr<std::vector<Finding>> ScanSamples(
      const std::map<std::string, From>& /*from*/, absl::Time /*until*/,
      absl::FunctionRef<void(const std::string& pool, v1::Sample sample)> /*take*/) override {
    return std::vector<Finding>();
  }
  absl::StatusOr<std::vector<v1::Decision>> ReadDecisions(const std::string& /*pool*/,
                                                          int64_t /*before_id*/,
                                                          ReadLimit /*limit*/) override {
    return std::vector<v1::Decision>();
  }
  absl::StatusOr<std::vector<v1::Event>> ReadEvents(int64_t /*after_revision*/,
                                                    const std::string& /*name_prefix*/,
                                                    ReadLimit /*limit*/) override {
    return std::vector<v1::Event>();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<absl::AnyInvocable<void(absl::Status)>> held_;
  int taken_ = 0;
  int forecasts_ = 0;
};

// Its lists do not return until they are let go.
class HungProvider final : public Provider {
 public:
  absl::Status Supports(const CompiledDna& /*dna*/) override { return absl::OkStatus(); }
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
  absl::StatusOr<std::vector<Observation>> List() override {
    listing_ = true;
    let_go_.wait(false);
    return std::vector<Observation>();
  }

  bool listing() const { return listing_; }
  void LetGo() {
    let_go_ = true;
    let_go_.notify_all();
  }

 private:
  std::atomic<bool> listing_ = false;
  std::atomic<bool> let_go_ = false;
};

// A control thread over a store that the test holds; all that begins is released at the end.
class HeldDaemon {
 public:
  explicit HeldDaemon(std::unique_ptr<Provider> provider = std::make_unique<FakeProvider>(),
                      std::unique_ptr<Clock> clock = std::make_unique<SystemClock>())
      : clock_(std::move(clock)) {
    adapters_.providers = ProvidersOf(std::move(provider));
    adapters_.prober = std::make_unique<FakeProber>();
    adapters_.make_balancer = [](const v1::Pool&) { return nullptr; };
    adapters_.make_usage_source = [this](const v1::Pool&, const v1::UsageSource&) {
      ++usage_sources_made;
      return std::make_unique<FakeUsageSource>();
    };
    REQUIRE(loop_.Load({}, clock_->Now()).ok());
    control_ = std::make_unique<ControlThread>(loop_, store, adapters_, hub, *clock_, 1,
                                               [](const absl::Status&) {});
    thread_ = std::thread([this] { control_->Run(); });
    REQUIRE(PollUntil(kPatience, [&] { return store.taken() == 1; }));  // Recover.
  }
  ~HeldDaemon() {
    control_->Close();
    std::thread release([&] {
      while (!ended_) store.Release();
    });
    thread_.join();
    ended_ = true;
    release.join();
  }

  void Post(const Request& request) {
    REQUIRE(control_
                ->Post(request,
                       [this](const Answer& answer) {
                         const std::lock_guard lock(mutex_);
                         answers_.push_back(answer.status());
                       })
                .ok());
  }
  std::vector<absl::Status> answers() const {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  // Until the store has taken `batches`, or a request has been answered.
  void AwaitTaken(int batches) {
    CHECK(PollUntil(kPatience, [&] { return store.taken() >= batches || !answers().empty(); }));
  }
  std::shared_ptr<const Snapshot> snapshot() const { return control_->snapshot(); }
  ControlThread& control() { return *control_; }

  HeldStore store;
  EventHub hub{0};
  std::atomic<int> usage_sources_made = 0;

 private:
  const std::unique_ptr<Clock> clock_;
  Adapters adapters_;
  ControlLoop loop_{ControlLoop::Options{}};
  std::unique_ptr<ControlThread> control_;
  mutable std::mutex mutex_;
  std::vector<absl::Status> answers_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

TEST_CASE("a request that comes again is not answered before the first is durable") {
  HeldDaemon daemon;
  v1::CreateDnaRequest request = CreateDna();
  request.set_request_id("once");
  daemon.Post(request);
  daemon.Post(request);
  daemon.AwaitTaken(3);  // The second one's changes nothing.
  CHECK(daemon.answers().empty());

  daemon.store.Release();
  CHECK(daemon.answers().empty());
  daemon.store.Release();
  CHECK(daemon.answers().size() == 1);
  daemon.store.Release();
  const std::vector<absl::Status> answers = daemon.answers();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].ok());
  CHECK(answers[1].ok());
}

TEST_CASE("what could not be made durable is answered by nobody, also not from memory") {
  HeldDaemon daemon;
  v1::CreateDnaRequest request = CreateDna();
  request.set_request_id("once");
  daemon.Post(request);
  daemon.Post(request);
  v1::CreateDnaRequest check = CreateDna();  // "It exists": nor is that so.
  check.set_validate_only(true);
  daemon.Post(check);
  daemon.AwaitTaken(4);
  daemon.store.Release();
  for (int i = 0; i < 3; ++i) daemon.store.Release(absl::UnavailableError("I/O"));
  const std::vector<absl::Status> answers = daemon.answers();
  REQUIRE(answers.size() == 3);
  for (const absl::Status& answer : answers) CHECK(absl::IsUnavailable(answer));
  CHECK(daemon.snapshot()->dnas->empty());
}

TEST_CASE("what waits for a store that does not get on is answered once, with the reason") {
  HeldDaemon daemon;
  daemon.Post(CreateDna());
  daemon.AwaitTaken(2);
  daemon.control().AnswerOverdue(absl::ResourceExhaustedError("full"), absl::Hours(1));
  CHECK(daemon.answers().empty());
  daemon.control().AnswerOverdue(absl::ResourceExhaustedError("full"), absl::ZeroDuration());
  REQUIRE(daemon.answers().size() == 1);
  CHECK(daemon.answers()[0] == absl::ResourceExhaustedError("full"));
  while (!daemon.snapshot()->dnas->contains("dnas/web")) daemon.store.Release();  // It is done.
  CHECK(daemon.answers().size() == 1);
  daemon.Post(CreateDna());  // And those that come later have their own.
  while (daemon.answers().size() < 2) daemon.store.Release();
  CHECK(absl::IsAlreadyExists(daemon.answers()[1]));
}

TEST_CASE("an input or a write without end is stuck, and a write that is tried again is not") {
  auto owned_clock = std::make_unique<ManualClock>();
  ManualClock& clock = *owned_clock;
  HeldDaemon daemon(std::make_unique<FakeProvider>(), std::move(owned_clock));
  const auto becomes = [&](std::string_view what) {
    return PollUntil(kPatience, [&] {
      const absl::Status check = daemon.control().CheckProgress(absl::Minutes(1));
      return what == "fine" ? check.ok() : check.ToString().find(what) != std::string::npos;
    });
  };
  CHECK(becomes("fine"));
  clock.Advance(absl::Minutes(1));
  CHECK(becomes("the store has worked"));
  daemon.store.retrying = true;
  CHECK(becomes("fine"));
  {
    const auto hung = daemon.store.Hang();
    daemon.Post(CreateDna());
    CHECK(PollUntil(kPatience, [&] {
      clock.Advance(absl::Minutes(1));
      return !daemon.control().CheckProgress(absl::Minutes(1)).ok();
    }));
    CHECK(becomes("the control loop has worked"));
  }
  CHECK(becomes("fine"));
  daemon.store.retrying = false;
  while (daemon.store.Release()) continue;
  CHECK(becomes("fine"));
}

TEST_CASE("what was learned is saved at the end, also where a call never returns") {
  auto provider = std::make_unique<HungProvider>();
  HungProvider& hung = *provider;
  HeldDaemon daemon(std::move(provider));
  const absl::Cleanup let_go = [&hung] { hung.LetGo(); };
  daemon.Post(CreateDna());
  daemon.Post(CreatePool(0));
  REQUIRE(PollUntil(kPatience, [&] {
    daemon.store.Release();
    return daemon.answers().size() == 2 && hung.listing();
  }));
  CHECK(daemon.answers()[1].ok());

  using End = ControlThread::End;
  const int before = daemon.store.forecasts();
  daemon.control().Close();
  REQUIRE(PollUntil(kPatience, [&] { return daemon.store.forecasts() > before; }));
  CHECK(daemon.control().AwaitEnd(absl::ZeroDuration()) == End::kSaving);
  REQUIRE(PollUntil(kPatience, [&] {
    daemon.store.Release();
    return daemon.control().AwaitEnd(absl::Milliseconds(1)) == End::kCalling;
  }));
  hung.LetGo();
  CHECK(daemon.control().AwaitEnd(kPatience) == End::kDone);
  CHECK(daemon.control().unsaved().forecasts == 0);
}

TEST_CASE("what could not be made durable at the end is counted") {
  HeldDaemon daemon;
  daemon.Post(CreateDna());
  daemon.Post(CreatePool(0));
  REQUIRE(PollUntil(kPatience, [&] {
    daemon.store.Release();
    return daemon.answers().size() == 2;
  }));
  const int before = daemon.store.forecasts();
  daemon.control().Close();
  REQUIRE(PollUntil(kPatience, [&] { return daemon.store.forecasts() > before; }));
  REQUIRE(PollUntil(kPatience, [&] {
    daemon.store.Release(absl::ResourceExhaustedError("full"));
    return daemon.control().AwaitEnd(absl::Milliseconds(1)) == ControlThread::End::kDone;
  }));
  CHECK(daemon.control().unsaved().forecasts >= 1);
}

TEST_CASE("readers see what is durable, and whoever has an answer sees at least that") {
  HeldDaemon daemon;
  daemon.store.Release();
  daemon.Post(CreateDna());
  daemon.AwaitTaken(2);
  CHECK(daemon.snapshot()->dnas->empty());
  const int64_t before = daemon.snapshot()->revision;
  // A list of instances may come between.
  while (daemon.answers().empty()) daemon.store.Release();
  CHECK(daemon.snapshot()->dnas->contains("dnas/web"));
  CHECK(daemon.snapshot()->revision > before);
}

TEST_CASE("a pool that is deleted takes its usage source with it, and so all that this counted") {
  HeldDaemon daemon;
  const auto await = [&](const std::function<bool()>& condition) {
    return PollUntil(kPatience, [&] {
      daemon.store.Release();
      return condition();
    });
  };
  v1::CreatePoolRequest pool = CreatePool(0);
  pool.mutable_pool()->mutable_balancer()->mutable_none();
  v1::HaproxyUsage& usage = *pool.mutable_pool()->add_usage_sources()->mutable_haproxy();
  usage.set_socket_path("/run/haproxy.sock");
  usage.set_frontend("front");
  daemon.Post(CreateDna());
  daemon.Post(pool);
  REQUIRE(await([&] { return daemon.usage_sources_made == 1; }));
  v1::DeletePoolRequest gone;
  gone.set_name(kPool);
  daemon.Post(gone);
  daemon.Post(pool);
  CHECK(await([&] { return daemon.usage_sources_made == 2; }));
  for (const absl::Status& answer : daemon.answers()) CHECK(answer.ok());
}

// How many instances serve in the pool that CreatePool makes.
int64_t CountServing(const Snapshot& snapshot) {
  const auto pool = snapshot.pools.find(kPool);
  if (pool == snapshot.pools.end()) return 0;
  const auto& instances = pool->second->instances;
  return std::count_if(instances.begin(), instances.end(), [](const auto& entry) {
    return entry.second.state() == v1::Instance::ACTIVE;
  });
}

TEST_CASE("a death that the provider tells of is found before the next look is due") {
  auto provider = std::make_unique<FakeProvider>();
  FakeProvider& fake = *provider;
  // The clock stands still: after the first list no other is ever due.
  HeldDaemon daemon(std::move(provider), std::make_unique<ManualClock>());
  const auto becomes = [&](const std::function<bool(const Snapshot&)>& condition) {
    return PollUntil(kPatience, [&] {
      daemon.store.Release();
      return condition(*daemon.snapshot());
    });
  };
  REQUIRE(becomes([](const Snapshot& snapshot) { return snapshot.recovered; }));
  v1::CreatePoolRequest pool = CreatePool(1);
  pool.mutable_pool()->mutable_balancer()->mutable_none();
  daemon.Post(CreateDna());
  daemon.Post(pool);
  REQUIRE(becomes([](const Snapshot& snapshot) { return CountServing(snapshot) == 1; }));
  fake.Exit(fake.Lives().begin()->first, "killed 9");
  CHECK(becomes([](const Snapshot& snapshot) { return CountServing(snapshot) == 0; }));
}

}  // namespace
}  // namespace shadow
