#include "server/effect_runner.h"

#include <chrono>
#include <condition_variable>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/core/verify.h"

namespace shadow {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

bool SameAdapters(const v1::Pool& a, const v1::Pool& b) {
  if (!MessageDifferencer::Equals(a.balancer(), b.balancer())) return false;
  if (a.usage_sources_size() != b.usage_sources_size()) return false;
  for (int i = 0; i < a.usage_sources_size(); ++i) {
    if (!MessageDifferencer::Equals(a.usage_sources(i), b.usage_sources(i))) return false;
  }
  return true;
}

absl::Status NoProvider(const Effect& effect) {
  return absl::FailedPreconditionError(
      absl::StrCat("there is no provider \"", effect.provider, "\""));
}

// Inspect, and the ready check once it runs.
void AwaitReady(const Effect& effect, Provider& provider, Prober& prober,
                const std::stop_token& stop, EffectResult& result) {
  auto seen = provider.Inspect(effect.instance, Provider::Depth::kLife);
  result.status = seen.status();
  if (!seen.ok()) return;
  if (seen->life == Life::kRunning) {
    const absl::Status ready = prober.Check(*effect.instance.dna, seen->address, stop);
    result.ready = ready.ok();
    result.not_ready = std::string(ready.message());
  }
  result.observation = *std::move(seen);
}

// Until the instance holds every connection that its DNA names, which a pause may have closed, for
// as long as its warm-up may take. kFailedPrecondition: one is missing, by name, or it has ended.
absl::Status AwaitConnections(const InstanceSpec& instance, Provider& provider,
                              const std::stop_token& stop) {
  if (instance.dna->dna.network().connections().empty()) return absl::OkStatus();
  std::mutex mutex;
  std::condition_variable_any nobody;
  std::unique_lock lock(mutex);
  std::vector<std::string> missing;
  for (int64_t tries = instance.dna->warm_up_timeout / kLookInterval; tries >= 0; --tries) {
    const auto seen = provider.Inspect(instance, Provider::Depth::kConnections);
    if (!seen.ok()) return seen.status();
    if (!seen->facts.has_value()) return absl::FailedPreconditionError("it has ended");
    missing = MissingConnections(*instance.dna, *seen->facts);
    if (missing.empty()) return absl::OkStatus();
    nobody.wait_for(lock, stop, absl::ToChronoMilliseconds(kLookInterval), [] { return false; });
    if (stop.stop_requested()) return absl::CancelledError("the probe was stopped");
  }
  return absl::FailedPreconditionError(absl::StrJoin(missing, "; "));
}

void Destroy(const Effect& effect, Provider& provider, EffectResult& result) {
  const auto stop =
      effect.kind == Effect::Kind::kKill ? Provider::Stop::kForce : Provider::Stop::kGraceful;
  result.status = provider.Destroy(effect.instance, stop);
  if (!result.status.ok()) return;
  auto seen = provider.Inspect(effect.instance, Provider::Depth::kLife);
  result.status = seen.status();
  if (seen.ok()) result.observation = *std::move(seen);
}

}  // namespace

EffectRunner::EffectRunner(Adapters& adapters, int workers, std::function<void(EffectResult)> done)
    : adapters_(adapters),
      done_(std::move(done)),
      probes_([this](const Effect& effect,
                     const std::stop_token& stop) { return RunProbe(effect, stop); },
              done_),
      background_(std::thread::hardware_concurrency()) {
  for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { Work(); });
}

EffectRunner::~EffectRunner() { Stop(); }

void EffectRunner::Stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    queue_.clear();
  }
  filled_.notify_all();
  probes_.Stop();
  background_.Stop();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void EffectRunner::Submit(Effect effect) {
  if (effect.kind == Effect::Kind::kAwaitReady || effect.kind == Effect::Kind::kWarmUp) {
    probes_.Submit(std::move(effect));
    return;
  }
  if (effect.kind == Effect::Kind::kFit) return Fit(effect);
  if (effect.kind == Effect::Kind::kLearn) return Learn(effect);
  std::unique_lock lock(queue_mutex_);
  if (stopping_) return;
  if (effect.kind == Effect::Kind::kScore) {
    lock.unlock();
    return Score(effect);
  }
  queue_.push_back(std::move(effect));
  lock.unlock();
  filled_.notify_one();
}

void EffectRunner::Work() {
  while (true) {
    Effect effect;
    {
      std::unique_lock lock(queue_mutex_);
      filled_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      effect = std::move(queue_.front());
      queue_.pop_front();
    }
    EffectResult result = Run(effect);
    result.id = effect.id;
    done_(std::move(result));
  }
}

EffectResult EffectRunner::Run(const Effect& effect) {
  EffectResult result;
  switch (effect.kind) {
    case Effect::Kind::kAdd:
    case Effect::Kind::kSetWeight:
    case Effect::Kind::kDrain:
    case Effect::Kind::kRemove:
    case Effect::Kind::kListBalancer:
      RunAtBalancer(effect, result);
      return result;
    case Effect::Kind::kReadUsage:
      ReadUsage(effect, result);
      return result;
    default:
      break;
  }
  const auto provider = adapters_.providers.find(effect.provider);
  if (provider == adapters_.providers.end()) {
    result.status = NoProvider(effect);
  } else {
    RunOnInstance(effect, *provider->second, result);
  }
  return result;
}

EffectResult EffectRunner::RunProbe(const Effect& effect, const std::stop_token& stop) {
  EffectResult result;
  const auto provider = adapters_.providers.find(effect.provider);
  if (provider == adapters_.providers.end()) {
    result.status = NoProvider(effect);
  } else if (effect.kind == Effect::Kind::kAwaitReady) {
    AwaitReady(effect, *provider->second, *adapters_.prober, stop, result);
  } else {
    result.status = adapters_.prober->WarmUp(*effect.instance.dna, effect.address, stop);
    if (result.status.ok()) {
      result.status = AwaitConnections(effect.instance, *provider->second, stop);
    }
  }
  return result;
}

void EffectRunner::RunOnInstance(const Effect& effect, Provider& provider, EffectResult& result) {
  switch (effect.kind) {
    case Effect::Kind::kCreate:
      result.status = provider.Create(effect.instance);
      break;
    case Effect::Kind::kVerify: {
      auto seen = provider.Inspect(effect.instance, Provider::Depth::kFacts);
      result.status = seen.status();
      if (seen.ok()) result.observation = *std::move(seen);
      break;
    }
    case Effect::Kind::kSuspend:
      result.status = provider.Suspend(effect.instance);
      break;
    case Effect::Kind::kResume:
      result.status = provider.Resume(effect.instance);
      break;
    case Effect::Kind::kListInstances: {
      auto instances = provider.List();
      result.status = instances.status();
      if (instances.ok()) result.instances = *std::move(instances);
      break;
    }
    case Effect::Kind::kDestroy:
    case Effect::Kind::kKill:
      Destroy(effect, provider, result);
      break;
    case Effect::Kind::kAwaitReady:
    case Effect::Kind::kWarmUp:
    case Effect::Kind::kAdd:
    case Effect::Kind::kSetWeight:
    case Effect::Kind::kDrain:
    case Effect::Kind::kRemove:
    case Effect::Kind::kListBalancer:
    case Effect::Kind::kReadUsage:
    case Effect::Kind::kScore:
    case Effect::Kind::kFit:
    case Effect::Kind::kLearn:
      result.status = absl::InternalError("this effect is not on an instance");
      break;
  }
}

void EffectRunner::RunAtBalancer(const Effect& effect, EffectResult& result) {
  Balancer& balancer = *AdaptersOf(effect).balancer;
  switch (effect.kind) {
    case Effect::Kind::kAdd:
      result.status = balancer.Add(effect.address);
      break;
    case Effect::Kind::kSetWeight:
      result.status = balancer.SetWeight(effect.address, effect.weight_percent);
      break;
    case Effect::Kind::kDrain:
      result.status = balancer.Drain(effect.address);
      break;
    case Effect::Kind::kRemove:
      result.status = balancer.Remove(effect.address);
      break;
    default: {
      auto view = balancer.List();
      result.status = view.status();
      if (view.ok()) result.balancer = *std::move(view);
    }
  }
}

void EffectRunner::ReadUsage(const Effect& effect, EffectResult& result) {
  const std::shared_ptr<UsageSource> source = AdaptersOf(effect).usage;
  if (source == nullptr) return;
  auto reading = source->Read(effect.pool->pool.name(), effect.since);
  result.status = reading.status();
  if (reading.ok()) result.usage = *std::move(reading);
}

void EffectRunner::Score(const Effect& effect) {
  adapters_.score(effect.pool->pool,
                  [done = done_, id = effect.id](absl::StatusOr<v1::ObserveScore> score) {
                    EffectResult result;
                    result.id = id;
                    result.status = score.status();
                    if (score.ok()) result.score = *std::move(score);
                    done(std::move(result));
                  });
}

void EffectRunner::Fit(const Effect& effect) {
  background_.Post([this, id = effect.id, fit = effect.fit] {
    fit->work->Run();
    EffectResult result;
    result.id = id;
    result.fit = fit;
    done_(std::move(result));
  });
}

void EffectRunner::Learn(const Effect& effect) {
  background_.Post([this, effect] { done_(LearnAgain(effect, adapters_.read_samples)); });
}

void EffectRunner::Forget(const std::string& pool) {
  const std::lock_guard lock(pools_mutex_);
  pools_.erase(pool);
}

EffectRunner::PoolAdapters EffectRunner::AdaptersOf(const Effect& effect) {
  const std::lock_guard lock(pools_mutex_);
  PoolAdapters& entry = pools_[effect.pool->pool.name()];
  if (entry.pool == effect.pool) return entry;
  const bool same = entry.pool && SameAdapters(entry.pool->pool, effect.pool->pool);
  entry.pool = effect.pool;
  if (same) return entry;
  entry.balancer = adapters_.make_balancer(effect.pool->pool.balancer());
  entry.usage = nullptr;
  for (const v1::UsageSource& source : effect.pool->pool.usage_sources()) {
    if (auto made = adapters_.make_usage_source(source)) entry.usage = std::move(made);
  }
  return entry;
}

}  // namespace shadow
