#include "server/core/effects/carry_out.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/check.h"

namespace shadow {
namespace {

using K = Effect::Kind;

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

// Of an effect that is one operation; unset: it is not.
std::optional<InstanceOp::Kind> OperationOf(K kind) {
  if (kind == K::kCreate) return InstanceOp::Kind::kCreate;
  if (kind == K::kSuspend) return InstanceOp::Kind::kSuspend;
  if (kind == K::kResume) return InstanceOp::Kind::kResume;
  return std::nullopt;
}

void Inspect(const Effect& effect, Provider& provider, EffectResult& result) {
  auto seen = provider.Inspect(effect.instance);
  result.status = seen.status();
  if (seen.ok()) result.observation = *std::move(seen);
}

void AwaitReady(const Effect& effect, const Seams& seams, const std::stop_token& stop,
                EffectResult& result) {
  Inspect(effect, *seams.provider, result);
  if (!result.observation.has_value() || result.observation->life != Life::kRunning) return;
  const absl::Status ready =
      seams.prober->Check(*effect.instance.dna, result.observation->address, stop);
  if (absl::IsResourceExhausted(ready)) result.status = ready;  // It was not asked.
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
    const auto missing = provider.Verify(instance, Provider::Part::kConnections);
    last = missing.status();  // An incomplete look says nothing.
    if (absl::IsNotFound(last)) return absl::FailedPreconditionError("it has ended");
    if (missing.ok() && missing->has_value()) {
      if ((*missing)->empty()) return absl::OkStatus();
      last = absl::FailedPreconditionError(absl::StrJoin(**missing, "; "));
    }
    nobody.wait_for(lock, stop, absl::ToChronoMilliseconds(kLookInterval), [] { return false; });
    if (stop.stop_requested()) return absl::CancelledError("the probe was stopped");
  }
  return last;
}

void Destroy(const Effect& effect, Provider& provider, InstanceOp::Kind kind,
             EffectResult& result) {
  result.status = provider.ApplyOne(kind, effect.instance);
  if (result.status.ok()) Inspect(effect, provider, result);
}

void Verify(const Effect& effect, Provider& provider, EffectResult& result) {
  Inspect(effect, provider, result);
  if (!result.status.ok() || IsDead(*result.observation)) return;
  auto differences = provider.Verify(effect.instance, Provider::Part::kEverything);
  result.status = differences.status();
  if (differences.ok()) result.differences = *std::move(differences);
}

void ListInstances(Provider& provider, EffectResult& result) {
  auto instances = provider.List();
  result.status = instances.status();
  if (instances.ok()) result.instances = *std::move(instances);
}

void Assign(const Effect& effect, Balancer& balancer, EffectResult& result) {
  auto assigned = balancer.Assign(effect.assignments);
  result.status = assigned.status();
  if (assigned.ok()) result.assigned = *std::move(assigned);
}

void ViewBalancer(Balancer& balancer, EffectResult& result) {
  auto view = balancer.View();
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
      return need(seams.provider, absl::StrCat("provider \"", effect.provider->key, "\""));
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
    case K::kSuspend:
    case K::kResume:
      result.status = seams.provider->ApplyOne(*OperationOf(effect.kind), effect.instance);
      break;
    case K::kAwaitReady:
      AwaitReady(effect, seams, stop, result);
      break;
    case K::kVerify:
      Verify(effect, *seams.provider, result);
      break;
    case K::kWarmUp:
      result.status = seams.prober->WarmUp(*effect.instance.dna, effect.address, stop);
      if (result.status.ok()) {
        result.status = AwaitConnections(effect.instance, *seams.provider, stop);
      }
      break;
    case K::kDestroy:
      Destroy(effect, *seams.provider, InstanceOp::Kind::kDestroy, result);
      break;
    case K::kKill:
      Destroy(effect, *seams.provider, InstanceOp::Kind::kKill, result);
      break;
    case K::kListInstances:
      ListInstances(*seams.provider, result);
      break;
    case K::kAssign:
      Assign(effect, *seams.balancer, result);
      break;
    case K::kViewBalancer:
      ViewBalancer(*seams.balancer, result);
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

bool IsOneOperation(Effect::Kind kind) { return OperationOf(kind).has_value(); }

std::vector<EffectResult> CarryOutTogether(std::span<const Effect> effects, Provider& provider) {
  std::vector<InstanceOp> operations;
  for (const Effect& effect : effects) {
    const auto kind = OperationOf(effect.kind);
    CHECK(kind.has_value());
    operations.push_back({.kind = *kind, .instance = effect.instance});
  }
  std::vector<absl::Status> statuses = provider.Apply(operations);
  CHECK(statuses.size() == effects.size());
  std::vector<EffectResult> results(effects.size());
  for (size_t i = 0; i < effects.size(); ++i) {
    results[i].id = effects[i].id;
    results[i].status = std::move(statuses[i]);
  }
  return results;
}

}  // namespace shadow
