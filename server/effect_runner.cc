#include "server/effect_runner.h"

#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/core/check.h"

namespace shadow {
namespace {

using google::protobuf::util::MessageDifferencer;

bool SameAdapters(const v1::Pool& a, const v1::Pool& b) {
  if (!MessageDifferencer::Equals(a.balancer(), b.balancer())) return false;
  if (!MessageDifferencer::Equals(a.provider(), b.provider())) return false;  // Whose pods it has.
  if (a.usage_sources_size() != b.usage_sources_size()) return false;
  for (int i = 0; i < a.usage_sources_size(); ++i) {
    if (!MessageDifferencer::Equals(a.usage_sources(i), b.usage_sources(i))) return false;
  }
  return true;
}

// The hook, the requests, and as long as they may take the look at its connections.
absl::Duration WarmUpMost(const CompiledDna& dna) {
  return dna.resume_hook_timeout + 2 * dna.warm_up_timeout;
}

LogFields SubjectOf(const Effect& effect) {
  std::string name = effect.instance.name;
  if (name.empty() && effect.pool) name = effect.pool->pool.name();
  if (name.empty()) {
    name = effect.instance.id.empty() ? absl::StrCat("providers/", effect.provider->key)
                                      : absl::StrCat("instances/", effect.instance.id);
  }
  LogFields fields = FieldsOf(name);
  fields.request_id = effect.request_id;
  return fields;
}

// It fails no instance.
EffectResult NotActing(const Effect& effect) {
  EffectResult result;
  result.id = effect.id;
  result.status = absl::AbortedError("this daemon has lost its Lease, and does not act any more");
  return result;
}

}  // namespace

EffectRunner::EffectRunner(Adapters& adapters, Clock& clock, const Options& options,
                           std::function<void(EffectResult)> done)
    : adapters_(adapters),
      clock_(clock),
      options_(options),
      done_(std::move(done)),
      calls_(clock, [this](EffectResult result) { Done(std::move(result)); }),
      probes_(clock, [this](EffectResult result) { Done(std::move(result)); }),
      background_(std::thread::hardware_concurrency()) {}

EffectRunner::~EffectRunner() { Stop(); }

void EffectRunner::Stop() {
  probes_.Stop();
  calls_.Stop();
  background_.Stop();
}

void EffectRunner::Note(const Effect& effect) {
  UnderWay noted{.kind = effect.kind,
                 .fields = Logs(LogLevel::kDebug) ? SubjectOf(effect) : LogFields{},
                 .begun = clock_.Now().mono};
  const std::lock_guard lock(mutex_);
  under_way_.insert_or_assign(effect.id, std::move(noted));
}

void EffectRunner::NoteBegun(uint64_t id) {
  const absl::Duration now = clock_.Now().mono;
  const std::lock_guard lock(mutex_);
  if (const auto noted = under_way_.find(id); noted != under_way_.end()) noted->second.begun = now;
}

void EffectRunner::Done(EffectResult result) {
  decltype(under_way_)::node_type noted;
  {
    const std::lock_guard lock(mutex_);
    noted = under_way_.extract(result.id);
  }
  if (!noted.empty()) {
    const UnderWay& effect = noted.mapped();
    const absl::Duration took = clock_.Now().mono - effect.begun;
    counts_.Add(effect.kind, took, result.status.ok());
    if (Logs(LogLevel::kDebug)) {
      Log(LogLevel::kDebug, effect.fields,
          absl::StrCat(std::string(KindName(effect.kind)), " took ", absl::FormatDuration(took),
                       ": ", result.status.ToString()));
    }
  }
  done_(std::move(result));
}

void EffectRunner::Submit(Effect effect) {
  Note(effect);
  switch (SeamOf(effect.kind)) {
    case Seam::kProvider:
      return CallProvider(std::move(effect));
    case Seam::kProber:
      return Probe(std::move(effect));
    case Seam::kBalancer:
      return CallBalancer(std::move(effect));
    case Seam::kUsageSource:
      return ReadUsage(std::move(effect));
    case Seam::kNone:
      if (effect.kind == Effect::Kind::kScore) return Score(effect);
      if (effect.kind == Effect::Kind::kFit) return Fit(effect);
      CHECK(effect.kind == Effect::Kind::kLearn);
      return Learn(effect);
  }
}

void EffectRunner::Cancel(uint64_t id) {
  probes_.Cancel(id);
  calls_.Cancel(id);
}

Provider* EffectRunner::ProviderOf(const Effect& effect) {
  const auto provider = adapters_.providers->Get(*effect.provider);
  if (provider.ok()) return *provider;
  EffectResult result;
  result.id = effect.id;
  result.status = provider.status();
  Done(std::move(result));
  return nullptr;
}

absl::Duration EffectRunner::TimeLimit(const Effect& effect) const {
  return options_.call_time_limit + effect.provider->traits.call_time - kPromise;
}

void EffectRunner::Call(Lanes& lanes, Lanes::Job job, Effect effect, Seams seams,
                        std::shared_ptr<const void> owner) {
  job.id = effect.id;
  job.run = [this, effect = std::move(effect), seams,
             owner = std::move(owner)](const std::stop_token& stop) {
    NoteBegun(effect.id);
    if (!MayAct()) return NotActing(effect);
    return CarryOut(effect, seams, stop);
  };
  lanes.Submit(std::move(job));
}

void EffectRunner::CallProvider(Effect effect) {
  const Seams seams{.provider = ProviderOf(effect)};
  if (seams.provider == nullptr) return;
  const bool list = effect.kind == Effect::Kind::kListInstances;
  Lanes::Job job{
      .lane = absl::StrCat(list ? "instance list of provider " : "provider ", effect.provider->key),
      .subject = effect.instance.id,
      .in_flight_max = list ? 1 : options_.provider_calls_max,
      .time_limit = TimeLimit(effect)};
  const int together = effect.provider->traits.operations_per_call;
  if (together == 1 || !IsOneOperation(effect.kind)) {
    return Call(calls_, std::move(job), std::move(effect), seams, nullptr);
  }
  job.id = effect.id;
  job.together_max = together;
  job.effect = std::move(effect);
  job.run_together = [this, seams](std::span<const Effect> effects) {
    for (const Effect& one : effects) NoteBegun(one.id);
    if (!MayAct()) {
      std::vector<EffectResult> refused;
      for (const Effect& one : effects) refused.push_back(NotActing(one));
      return refused;
    }
    return CarryOutTogether(effects, *seams.provider);
  };
  calls_.Submit(std::move(job));
}

void EffectRunner::Probe(Effect effect) {
  const Seams seams{.provider = ProviderOf(effect), .prober = adapters_.prober.get()};
  if (seams.provider == nullptr) return;
  const bool warm_up = effect.kind == Effect::Kind::kWarmUp;
  const CompiledDna& dna = *effect.instance.dna;
  Lanes::Job job{.lane = absl::StrCat(warm_up ? "warm-ups of " : "ready checks of ",
                                      effect.instance.shadow.empty() ? "the base" : "the shadows",
                                      " of pools/", effect.instance.pool),
                 .in_flight_max = kProbesMax,
                 .time_limit = TimeLimit(effect) + (warm_up ? WarmUpMost(dna) : dna.ready_timeout)};
  Call(probes_, std::move(job), std::move(effect), seams, nullptr);
}

void EffectRunner::CallBalancer(Effect effect) {
  std::shared_ptr<Balancer> balancer = AdaptersOf(effect).balancer;
  const Seams seams{.balancer = balancer.get()};
  const bool assign = effect.kind == Effect::Kind::kAssign;
  Lanes::Job job{.lane = absl::StrCat("balancer ", balancer ? balancer->peer() : "nobody"),
                 .subject = assign ? effect.pool->pool.name() : "",
                 .in_flight_max = kBalancerCallsMax,
                 .time_limit = options_.call_time_limit};
  Call(calls_, std::move(job), std::move(effect), seams, std::move(balancer));
}

void EffectRunner::ReadUsage(Effect effect) {
  std::shared_ptr<UsageSource> usage = AdaptersOf(effect).usage;
  const Seams seams{.usage = usage.get()};
  Lanes::Job job{.lane = absl::StrCat("usage of ", usage ? usage->peer() : "nobody"),
                 .in_flight_max = kUsageCallsMax,
                 .time_limit = options_.call_time_limit};
  Call(calls_, std::move(job), std::move(effect), seams, std::move(usage));
}

void EffectRunner::Score(const Effect& effect) {
  adapters_.score(effect.pool->pool,
                  [this, id = effect.id](absl::StatusOr<v1::ObserveScore> score) {
                    EffectResult result;
                    result.id = id;
                    result.status = score.status();
                    if (score.ok()) result.score = *std::move(score);
                    Done(std::move(result));
                  });
}

void EffectRunner::Fit(const Effect& effect) {
  background_.Post([this, id = effect.id, fit = effect.fit] {
    NoteBegun(id);
    fit->work->Run();
    EffectResult result;
    result.id = id;
    result.fit = fit;
    Done(std::move(result));
  });
}

void EffectRunner::Learn(const Effect& effect) {
  background_.Post([this, effect] {
    NoteBegun(effect.id);
    Done(LearnAgain(effect, adapters_.read_samples));
  });
}

void EffectRunner::Forget(const std::string& pool) {
  const std::lock_guard lock(mutex_);
  pools_.erase(pool);
}

EffectRunner::PoolAdapters EffectRunner::AdaptersOf(const Effect& effect) {
  const std::lock_guard lock(mutex_);
  PoolAdapters& entry = pools_[effect.pool->pool.name()];
  if (entry.pool == effect.pool) return entry;
  const bool same = entry.pool && SameAdapters(entry.pool->pool, effect.pool->pool);
  entry.pool = effect.pool;
  if (same) return entry;
  entry.balancer = adapters_.make_balancer(effect.pool->pool);
  entry.usage = nullptr;
  for (const v1::UsageSource& source : effect.pool->pool.usage_sources()) {
    if (auto made = adapters_.make_usage_source(effect.pool->pool, source))
      entry.usage = std::move(made);
  }
  return entry;
}

}  // namespace shadow
