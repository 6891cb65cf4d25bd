#include "server/core/effects/carry_out.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/verify.h"

namespace shadow {
namespace {

using K = Effect::Kind;

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

void Inspect(const Effect& effect, Provider& provider, Provider::Depth depth,
             EffectResult& result) {
  auto seen = provider.Inspect(effect.instance, depth);
  result.status = seen.status();
  if (seen.ok()) result.observation = *std::move(seen);
}

void AwaitReady(const Effect& effect, const Seams& seams, const std::stop_token& stop,
                EffectResult& result) {
  Inspect(effect, *seams.provider, Provider::Depth::kLife, result);
  if (!result.observation.has_value() || result.observation->life != Life::kRunning) return;
  const absl::Status ready =
      seams.prober->Check(*effect.instance.dna, result.observation->address, stop);
  result.ready = ready.ok();
  result.not_ready = std::string(ready.message());
}

// Until the instance holds every connection that its DNA names, which a pause may have closed, for
// as long as its warm-up may take. kFailedPrecondition: one is missing, by name, or it has ended.
// Otherwise as the last look.
absl::Status AwaitConnections(const InstanceSpec& instance, Provider& provider,
                              const std::stop_token& stop) {
  if (instance.dna->dna.network().connections().empty()) return absl::OkStatus();
  std::mutex mutex;
  std::condition_variable_any nobody;
  std::unique_lock lock(mutex);
  absl::Status last;
  for (int64_t tries = instance.dna->warm_up_timeout / kLookInterval; tries >= 0; --tries) {
    const auto seen = provider.Inspect(instance, Provider::Depth::kConnections);
    last = seen.status();  // An incomplete look says nothing.
    if (seen.ok()) {
      if (!seen->facts.has_value()) return absl::FailedPreconditionError("it has ended");
      const std::vector<std::string> missing = MissingConnections(*instance.dna, *seen->facts);
      if (missing.empty()) return absl::OkStatus();
      last = absl::FailedPreconditionError(absl::StrJoin(missing, "; "));
    }
    nobody.wait_for(lock, stop, absl::ToChronoMilliseconds(kLookInterval), [] { return false; });
    if (stop.stop_requested()) return absl::CancelledError("the probe was stopped");
  }
  return last;
}

void Destroy(const Effect& effect, Provider& provider, Provider::Stop stop, EffectResult& result) {
  result.status = provider.Destroy(effect.instance, stop);
  if (result.status.ok()) Inspect(effect, provider, Provider::Depth::kLife, result);
}

void ListInstances(Provider& provider, EffectResult& result) {
  auto instances = provider.List();
  result.status = instances.status();
  if (instances.ok()) result.instances = *std::move(instances);
}

void ListBalancer(Balancer& balancer, EffectResult& result) {
  auto view = balancer.List();
  result.status = view.status();
  if (view.ok()) result.balancer = *std::move(view);
}

void ReadUsage(const Effect& effect, UsageSource& usage, EffectResult& result) {
  auto reading = usage.Read(effect.pool->pool.name(), effect.since);
  result.status = reading.status();
  if (reading.ok()) result.usage = *std::move(reading);
}

// kFailedPrecondition: what the effect needs is not among `seams`.
absl::Status CheckSeams(const Effect& effect, const Seams& seams) {
  const auto need = [](const void* seam, std::string_view what) {
    return seam != nullptr
               ? absl::OkStatus()
               : absl::FailedPreconditionError(absl::StrCat("there is no ", std::string(what)));
  };
  switch (SeamOf(effect.kind)) {
    case Seam::kProber:
      if (absl::Status status = need(seams.prober, "prober"); !status.ok()) return status;
      [[fallthrough]];
    case Seam::kProvider:
      return need(seams.provider, absl::StrCat("provider \"", effect.provider, "\""));
    case Seam::kBalancer:
      return need(seams.balancer, "balancer");
    case Seam::kUsageSource:
      return need(seams.usage, "usage source that can be read");
    case Seam::kNone:
      break;
  }
  return absl::InternalError("this effect calls no seam");
}

}  // namespace

EffectResult CarryOut(const Effect& effect, const Seams& seams, const std::stop_token& stop) {
  EffectResult result;
  result.id = effect.id;
  result.status = CheckSeams(effect, seams);
  if (!result.status.ok()) return result;
  switch (effect.kind) {
    case K::kCreate:
      result.status = seams.provider->Create(effect.instance);
      break;
    case K::kAwaitReady:
      AwaitReady(effect, seams, stop, result);
      break;
    case K::kVerify:
      Inspect(effect, *seams.provider, Provider::Depth::kFacts, result);
      break;
    case K::kSuspend:
      result.status = seams.provider->Suspend(effect.instance);
      break;
    case K::kResume:
      result.status = seams.provider->Resume(effect.instance);
      break;
    case K::kWarmUp:
      result.status = seams.prober->WarmUp(*effect.instance.dna, effect.address, stop);
      if (result.status.ok()) {
        result.status = AwaitConnections(effect.instance, *seams.provider, stop);
      }
      break;
    case K::kDestroy:
      Destroy(effect, *seams.provider, Provider::Stop::kGraceful, result);
      break;
    case K::kKill:
      Destroy(effect, *seams.provider, Provider::Stop::kForce, result);
      break;
    case K::kListInstances:
      ListInstances(*seams.provider, result);
      break;
    case K::kAdd:
      result.status = seams.balancer->Add(effect.address);
      break;
    case K::kSetWeight:
      result.status = seams.balancer->SetWeight(effect.address, effect.weight_percent);
      break;
    case K::kDrain:
      result.status = seams.balancer->Drain(effect.address);
      break;
    case K::kRemove:
      result.status = seams.balancer->Remove(effect.address);
      break;
    case K::kListBalancer:
      ListBalancer(*seams.balancer, result);
      break;
    case K::kReadUsage:
      ReadUsage(effect, *seams.usage, result);
      break;
    case K::kScore:
    case K::kFit:
    case K::kLearn:
      break;  // CheckSeams has refused them.
  }
  return result;
}

}  // namespace shadow
