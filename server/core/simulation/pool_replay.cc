#include "server/core/simulation/pool_replay.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/leads/learned_lead.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

using I = v1::Instance;

constexpr int kInputsPerStepMax = 1'000'000;  // More would never come to rest.

v1::Dna ReplayDna() {
  v1::Dna dna;
  dna.set_name("dnas/replay");
  dna.mutable_process()->add_argv("/bin/true");
  return dna;
}

Observation Seen(const std::string& id, Life life) {
  Observation seen;
  seen.id = id;
  seen.life = life;
  seen.address = "127.0.0.1:20000";
  return seen;
}

bool Exists(const Member& member) {
  const I::State state = member.record.instance().state();
  return state != I::FAILED && state != I::DELETING &&
         member.record.want() != v1::InstanceRecord::WANT_GONE;
}

bool Launching(const Member& member) {
  const I::State state = member.record.instance().state();
  return state == I::CREATING || state == I::VERIFYING;
}

}  // namespace

absl::StatusOr<v1::Pool> ReplaySpec(v1::Pool pool, absl::Duration step) {
  const auto before = CompilePool(pool);
  if (!before.ok()) return before.status();
  pool = before->pool;
  pool.set_dna("dnas/replay");
  *pool.mutable_step() = ToProto(step);
  pool.set_external_capacity(before->base_capacity_per_spec);
  pool.clear_balancer();
  pool.clear_usage_sources();
  v1::Policy& policy = *pool.mutable_policy();
  policy.set_mode(v1::Policy::AUTOMATIC);
  *policy.mutable_activation_interval() = ToProto(step);
  *policy.mutable_usage_max_age() = ToProto(std::max(before->usage_max_age, 3 * step));
  *policy.mutable_suspended_check_interval() = ToProto(absl::ZeroDuration());  // They cannot rot.
  const auto after = CompilePool(pool);
  if (!after.ok()) return after.status();
  return after->pool;
}

PoolReplay::PoolReplay(const v1::Pool& spec, const Leads& leads, absl::Time start,
                       SharedForecast& forecast, int instances_max)
    : name_(spec.name()),
      step_(FromProto(spec.step())),
      leads_(leads),
      now_{.wall = start, .mono = absl::Hours(1)},
      loop_({.lists_providers = false,
             .instances_max = instances_max,
             .save_interval = absl::InfiniteDuration(),
             .make_forecaster = [&forecast](const CompiledPool& /*pool*/) {
               return forecast.NewReader();
             }}) {}

absl::StatusOr<std::unique_ptr<PoolReplay>> PoolReplay::Open(const v1::Pool& spec,
                                                             const Leads& leads, absl::Time start,
                                                             SharedForecast& forecast,
                                                             int instances_max) {
  const auto dna = CompileDna(ReplayDna());
  if (!dna.ok())
    return absl::InternalError(absl::StrCat("a replay's DNA: ", dna.status().message()));
  v1::StoreContents contents;
  *contents.add_dnas()->mutable_dna() = dna->dna;
  v1::PoolRecord& record = *contents.add_pools();
  *record.mutable_pool() = spec;
  record.mutable_pool()->set_dna_revision(dna->revision_name);
  record.mutable_pool()->set_state(v1::Pool::READY);
  // What the pool has learned, or is told, about them: so often that the default counts no more.
  for (int ago = kBurstsMax; ago > 0; --ago) {
    NoteLead(*record.mutable_provisioning(), start - ago * absl::Hours(1), leads.provisioning);
    NoteLead(*record.mutable_waking(), start - ago * absl::Hours(1), leads.activation);
  }
  std::unique_ptr<PoolReplay> replay(new PoolReplay(spec, leads, start, forecast, instances_max));
  const absl::Status loaded = replay->loop_.Load(contents, replay->now_);
  if (!loaded.ok()) return absl::InternalError(absl::StrCat("a replay: ", loaded.message()));
  return replay;
}

void PoolReplay::Learn(absl::Time time, double demand) {
  std::vector<v1::Sample> samples(1);
  *samples[0].mutable_time() = ToProto(time);
  samples[0].set_value(demand);
  loop_.Replay(name_, samples);
}

void PoolReplay::Start() { Apply(loop_.Recover(now_)); }

int PoolReplay::Begin(absl::Time time, std::optional<double> last_demand) {
  inputs_ = 0;
  RunUntil(now_.mono + (time - now_.wall));
  int active = 0;
  for (const auto& [id, member] : pool().members) {
    active += member.record.instance().state() == I::ACTIVE && Exists(member);
  }
  if (!last_demand.has_value()) return active;
  v1::ReportUsageRequest request;
  request.set_pool(name_);
  v1::Sample& sample = *request.add_samples();
  // The mean of a step is known when it ends.
  *sample.mutable_time() = ToProto(time - absl::Nanoseconds(1));
  sample.set_value(*last_demand);
  const Ready ready = loop_.Handle(request, now_).ready;
  Apply(ready);
  return active;
}

absl::StatusOr<StepTally> PoolReplay::Decide() {
  while (std::min(loop_.NextTick(), under_way_.empty() ? absl::InfiniteDuration()
                                                       : under_way_.begin()->first) <= now_.mono) {
    if (++inputs_ > kInputsPerStepMax) {
      return absl::InternalError(absl::StrCat("the loop does not come to rest at ",
                                              absl::FormatTime(now_.wall, absl::UTCTimeZone())));
    }
    if (!under_way_.empty() && under_way_.begin()->first <= now_.mono) {
      FinishFirst();
    } else {
      Apply(loop_.Tick(now_));
    }
  }
  StepTally tally;
  for (const auto& [id, member] : pool().members) {
    if (!Exists(member)) continue;
    ++tally.wanted;
    tally.ready += !Launching(member);
  }
  tally.created = std::exchange(created_, 0);
  for (const auto& [id, shadow] : pool().shadows) {
    if (!shadow.record.deleting()) tally.target += shadow.record.shadow().target_instances();
  }
  return tally;
}

void PoolReplay::RunUntil(absl::Duration until) {
  while (inputs_ < kInputsPerStepMax) {  // Decide reports it.
    const absl::Duration tick = loop_.NextTick();
    const absl::Duration result =
        under_way_.empty() ? absl::InfiniteDuration() : under_way_.begin()->first;
    if (result > until && tick >= until) break;
    const absl::Duration next = std::max(now_.mono, std::min(result, tick));
    now_ = {.wall = now_.wall + (next - now_.mono), .mono = next};
    ++inputs_;
    if (result <= now_.mono) {
      FinishFirst();
    } else {
      Apply(loop_.Tick(now_));
    }
  }
  now_ = {.wall = now_.wall + (until - now_.mono), .mono = until};
}

void PoolReplay::FinishFirst() {
  const Effect effect = std::move(under_way_.begin()->second);
  under_way_.erase(under_way_.begin());
  Apply(loop_.OnResult(Carry(effect), now_));
}

void PoolReplay::Apply(const Ready& ready) {
  decisions_ += ready.batch.decisions_size();
  for (const Effect& effect : ready.effects) {
    absl::Duration takes;
    // Verifying has no deadline that a long lead would pass.
    if (effect.kind == Effect::Kind::kVerify) takes = leads_.provisioning;
    if (effect.kind == Effect::Kind::kWarmUp) takes = leads_.activation;
    created_ += effect.kind == Effect::Kind::kCreate;
    under_way_.emplace(now_.mono + takes, effect);
  }
}

EffectResult PoolReplay::Carry(const Effect& effect) const {
  EffectResult result;
  result.id = effect.id;
  const bool ends = effect.kind == Effect::Kind::kDestroy || effect.kind == Effect::Kind::kKill;
  result.ready = !ends;
  result.differences.emplace();
  result.observation = Seen(effect.instance.id, ends ? Life::kAbsent : Life::kRunning);
  return result;
}

}  // namespace shadow::simulation
