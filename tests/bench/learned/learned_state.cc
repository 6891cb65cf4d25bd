#include "tests/bench/learned/learned_state.h"

#include <cmath>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/control_loop.h"
#include "server/core/time_proto.h"
#include "storage/store.h"

namespace shadow::bench {
namespace {

constexpr absl::Duration kStep = absl::Minutes(5);

void Insist(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

// A day's curve with noise, requests/s.
double DemandAt(absl::Time time, int pool) {
  const double days = absl::ToDoubleHours(time - absl::UnixEpoch()) / 24 + pool * 0.01;
  const double noise = std::sin(static_cast<double>(absl::ToUnixSeconds(time) % 9973) + pool);
  return 150 + 100 * std::sin(2 * std::numbers::pi * days) + 8 * noise;
}

std::string PoolName(int index) { return absl::StrCat("pools/web-", index); }

v1::Sample SampleOf(absl::Time step_end, int pool) {
  v1::Sample sample;
  *sample.mutable_time() = ToProto(step_end - absl::Seconds(1));
  sample.set_value(DemandAt(step_end - kStep, pool));
  return sample;
}

// The control loop on a clock that is set by hand, over a real store. Of its effects only fits are
// answered.
class Planned {
 public:
  Planned(const std::string& directory, absl::Time begin)
      : now_{.wall = begin, .mono = absl::Hours(1)} {
    std::filesystem::create_directories(directory);
    Open(directory);
    const auto contents = store_->Load();
    Insist(contents.status());
    Insist(loop_.Load(*contents, now_));
    Keep(loop_.Recover(now_));
  }

  void Call(const Request& request) {
    ControlLoop::Handled handled = loop_.Handle(request, now_);
    Insist(handled.answer.status());
    Keep(std::move(handled.ready));
  }

  // All that is due.
  void Rest() {
    while (loop_.NextTick() <= now_.mono) Keep(loop_.Tick(now_));
  }

  void Advance(absl::Duration span) {
    now_.wall += span;
    now_.mono += span;
  }

  void Open(const std::string& directory) {
    auto store = Store::Open(directory, {});
    Insist(store.status());
    store_ = *std::move(store);
  }
  void CloseStore() { store_.reset(); }

  void Save() {
    while (std::optional<Ready> saves = loop_.Close(now_)) Keep(*std::move(saves));
  }

  void Keep(Ready ready) {
    std::promise<absl::Status> durable;
    store_->Commit(std::move(ready.batch),
                   [&](const absl::Status& status) { durable.set_value(status); });
    Insist(durable.get_future().get());
    std::deque<Effect> effects(ready.effects.begin(), ready.effects.end());
    for (; !effects.empty(); effects.pop_front()) {
      const Effect& effect = effects.front();
      if (effect.kind != Effect::Kind::kFit) continue;
      effect.fit->work->Run();
      EffectResult result;
      result.id = effect.id;
      result.fit = effect.fit;
      const Ready more = loop_.OnResult(result, now_);
      effects.insert(effects.end(), more.effects.begin(), more.effects.end());
    }
  }

  absl::Time now() const { return now_.wall; }

 private:
  std::unique_ptr<Store> store_;
  ControlLoop loop_{{.instances_max = 100'000}};
  Instant now_;
};

void CreatePools(Planned& planned, int pools) {
  v1::CreateDnaRequest dna;
  dna.mutable_dna()->set_name("dnas/web");
  dna.mutable_dna()->mutable_process()->add_argv("/bin/true");
  planned.Call(dna);
  for (int i = 0; i < pools; ++i) {
    v1::CreatePoolRequest request;
    v1::Pool& pool = *request.mutable_pool();
    pool.set_name(PoolName(i));
    pool.set_dna("dnas/web");
    pool.add_usage_sources()->mutable_pushed();
    *pool.mutable_step() = ToProto(kStep);
    pool.set_external_capacity(100);
    pool.set_instance_capacity(20);
    *pool.mutable_policy()->mutable_activation_interval() = ToProto(kStep);
    planned.Call(request);
  }
}

// The samples of the `steps` steps up to now.
void Report(Planned& planned, int pools, int steps) {
  for (int i = 0; i < pools; ++i) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(PoolName(i));
    for (int step = steps - 1; step >= 0; --step) {
      *request.add_samples() = SampleOf(planned.now() - step * kStep, i);
    }
    planned.Call(request);
  }
}

// Stored, and not planned by.
void AddLastStep(const std::string& directory, const LearnedState& state) {
  auto store = Store::Open(directory, {.adopt_copy = true});
  Insist(store.status());
  v1::WriteBatch batch;
  for (int i = 0; i < state.pools; ++i) {
    v1::SampleBatch& samples = *batch.add_samples();
    samples.set_pool(PoolName(i));
    *samples.add_samples() = SampleOf(state.until, i);
  }
  std::promise<absl::Status> durable;
  (*store)->Commit(std::move(batch),
                   [&](const absl::Status& status) { durable.set_value(status); });
  Insist(durable.get_future().get());
}

}  // namespace

void MakeLearnedStates(const LearnedState& state, const std::string& killed,
                       const std::string& saved) {
  const int planned_steps = state.planned_steps;
  {
    Planned planned(saved, state.until - (planned_steps + 1) * kStep);
    CreatePools(planned, state.pools);
    planned.Rest();
    Report(planned, state.pools, static_cast<int>(state.days * absl::Hours(24) / kStep));
    planned.Rest();
    for (int step = 0; step < planned_steps; ++step) {
      planned.Advance(kStep);
      Report(planned, state.pools, 1);
      planned.Rest();
    }
    planned.CloseStore();
    std::filesystem::copy(saved, killed, std::filesystem::copy_options::recursive);
    planned.Open(saved);
    planned.Save();
  }
  AddLastStep(killed, state);
  AddLastStep(saved, state);
}

}  // namespace shadow::bench
