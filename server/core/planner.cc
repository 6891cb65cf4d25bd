#include "server/core/planner.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using D = v1::Decision;

// Instances for what is beyond the base.
int InstancesFor(const D::Inputs& in, double need) {
  const double beyond = (need - in.base_capacity()) / in.instance_capacity();
  if (!(beyond > 0) || !(in.instance_capacity() > 0)) return 0;
  return NeedOf(beyond);
}

bool HasUsage(const D::Inputs& in) { return in.usage().has_demand() && !in.usage().stale(); }

bool Predictive(const D::Inputs& in) { return in.sizing() != v1::Policy::REACTIVE; }

bool Trusted(const D::Inputs& in) { return Predictive(in) && in.trust() == v1::TRUSTED; }

double ReactiveNeed(const D::Inputs& in) {
  return HasUsage(in) ? in.usage().demand() * in.headroom() : 0;
}

// Whether there is a plan to size by. Its distribution of need knows by itself how far it can be
// relied on, unless the newest of it is missing.
bool Planned(const D::Inputs& in) {
  return Predictive(in) && in.has_planned_instances() && in.trust() != v1::STALE;
}

int PlannedInstances(const D::Inputs& in) {
  if (!Planned(in)) return 0;
  return std::min(std::max({in.planned_instances(), in.burst_instances(), in.early_instances()}),
                  kInstancesMax);
}

// What the plan is ready for, demand units; 0: nothing beyond the base.
double PlannedNeed(const D::Inputs& in) {
  const int planned = PlannedInstances(in);
  return planned > 0 ? in.base_capacity() + planned * in.instance_capacity() : 0;
}

double SizeNeed(const D::Inputs& in) { return std::max(ReactiveNeed(in), PlannedNeed(in)); }

int ReactiveInstances(const D::Inputs& in) { return InstancesFor(in, ReactiveNeed(in)); }

// What is to serve. Ahead of the demand only as far as the plan goes, and only what is ready.
int LevelInstances(const D::Inputs& in) {
  int predicted = 0;
  if (Trusted(in) && in.has_activation_quantile()) {
    predicted = std::min(InstancesFor(in, in.activation_quantile()), in.current_instances());
    if (Planned(in)) predicted = std::min(predicted, PlannedInstances(in));
  }
  return std::max(ReactiveInstances(in), predicted);
}

double LevelNeed(const D::Inputs& in) {
  const int instances = LevelInstances(in);
  const double served = instances > 0 ? in.base_capacity() + instances * in.instance_capacity() : 0;
  return ReactiveInstances(in) == instances ? ReactiveNeed(in) : served;
}

// One decision in the making.
struct Draft {
  const D::Inputs& in;
  D decision;
  int instances;
  int active;

  void Because(D::Reason reason) {
    const auto& known = decision.reasons();
    if (std::find(known.begin(), known.end(), reason) == known.end()) decision.add_reasons(reason);
  }
};

void Bound(Draft& draft) {
  const int maximum = draft.in.max_shadow_instances();
  const int minimum = std::min(draft.in.min_shadow_instances(), maximum);
  if (draft.instances > maximum) {
    draft.instances = maximum;
    draft.Because(D::AT_MAXIMUM);
  }
  if (draft.instances < minimum) {
    draft.instances = minimum;
    draft.Because(D::AT_MINIMUM);
  }
  if (draft.in.has_budget_instances() && draft.instances > draft.in.budget_instances()) {
    draft.instances = std::max(0, draft.in.budget_instances());
    draft.Because(D::OVER_BUDGET);
  }
  draft.active = std::clamp(draft.active, 0, draft.instances);
}

// A shadow is wanted and there is none, or a larger one.
void Grow(Draft& draft, int wanted) {
  const D::Inputs& in = draft.in;
  if (ReactiveInstances(in) > in.current_instances()) {
    draft.Because(D::REACTIVE_NEED);
    draft.instances = wanted;
    return;
  }
  const double increase = PlannedNeed(in) - in.usage().demand();
  if (in.current_instances() == 0 && increase < in.min_predicted_increase()) {
    draft.Because(D::BELOW_THRESHOLD);
    return;
  }
  draft.Because(in.burst_instances() >= wanted ? D::BURST : D::PREDICTED_INCREASE);
  draft.instances = wanted;
}

// A smaller one would do now: only if nothing speaks against it for the whole look-ahead.
void Shrink(Draft& draft, int wanted) {
  const D::Inputs& in = draft.in;
  if (in.errors_rising()) {
    draft.Because(D::ERRORS_RISING);
    return;
  }
  if (Predictive(in) && !Planned(in)) {
    draft.Because(D::FORECAST_UNTRUSTED);
    return;
  }
  const int window = std::max(wanted, in.window_instances());
  const bool looks_ahead = Trusted(in) && in.has_look_ahead_quantile();
  const int ahead = looks_ahead ? InstancesFor(in, in.look_ahead_quantile()) : 0;
  // What is to go on serving. Where nothing waits suspended, all of it is active and does not say.
  const int serving = std::max(LevelInstances(in), in.window_active());
  const int active = Predictive(in) ? std::min(in.current_active(), serving) : 0;
  const int keep = std::max({window, ahead, active});
  if (keep < in.current_instances()) {
    draft.instances = keep;
    draft.Because(D::NO_NEED_AHEAD);
  } else {
    const bool waits = looks_ahead && ahead >= window;
    draft.Because(waits ? D::NEED_WITHIN_LOOK_AHEAD : D::WAITING_TO_STABILIZE);
  }
}

void DecideSize(Draft& draft) {
  const D::Inputs& in = draft.in;
  draft.decision.set_ready_need(SizeNeed(in));
  if (!HasUsage(in)) {
    draft.Because(D::USAGE_STALE);
    return;
  }
  const int wanted = std::max(ReactiveInstances(in), PlannedInstances(in));
  if (wanted > in.current_instances()) {
    Grow(draft, wanted);
  } else if (wanted < in.current_instances()) {
    Shrink(draft, wanted);
  } else {
    draft.Because(D::NO_CHANGE);
  }
  if (Predictive(in) && !Planned(in)) draft.Because(D::FORECAST_UNTRUSTED);
}

void DecideLevel(Draft& draft) {
  const D::Inputs& in = draft.in;
  draft.decision.set_ready_need(LevelNeed(in));
  if (!HasUsage(in)) {
    draft.Because(D::USAGE_STALE);
    return;
  }
  const int wanted = LevelInstances(in);
  if (wanted > in.current_instances()) {
    draft.instances = wanted;
    draft.Because(D::REACTIVE_NEED);
  }
  if (wanted > in.current_active()) {
    draft.active = wanted;
    draft.Because(D::DEMAND_ROSE);
  } else if (wanted < in.current_active()) {
    const int keep = std::max(wanted, in.window_active());
    if (in.errors_rising()) {
      draft.Because(D::ERRORS_RISING);
    } else if (keep < in.current_active()) {
      draft.active = keep;
      draft.Because(D::DEMAND_FELL);
    } else {
      draft.Because(D::WAITING_TO_STABILIZE);
    }
  } else {
    draft.Because(D::NO_CHANGE);
  }
}

// The prediction that the decision went by, in words.
void AppendPrediction(const D& decision, std::string& text) {
  const D::Inputs& in = decision.inputs();
  if (!Predictive(in)) return;
  if (decision.kind() == D::SIZE) {
    if (!Planned(in)) {
      absl::StrAppend(&text, ", need is not predicted yet");
      return;
    }
    absl::StrAppendFormat(
        &text, ", %d shadow instances are cheapest at %s over the next %s", in.planned_instances(),
        in.has_miss_budget_steps() ? absl::StrFormat("a service level of %.6g", in.service_level())
                                   : std::string("these costs"),
        absl::FormatDuration(FromProto(in.provisioning_lead()) + FromProto(in.activation_lead())));
    if (in.has_burst_instances()) {
      absl::StrAppendFormat(&text, ", %d if it goes on rising", in.burst_instances());
    }
    if (in.has_early_instances()) {
      absl::StrAppendFormat(&text, ", %d so that what follows can be created in time",
                            in.early_instances());
    }
  } else if (Trusted(in) && in.has_activation_quantile()) {
    absl::StrAppendFormat(&text, ", its %.6g quantile over the next %s is %.6g", in.service_level(),
                          absl::FormatDuration(FromProto(in.activation_lead())),
                          in.activation_quantile());
  } else {
    absl::StrAppend(&text, ", the forecast is not trusted (", v1::Trust_Name(in.trust()), ")");
  }
}

}  // namespace

std::string Explain(const D& decision) {
  const D::Inputs& in = decision.inputs();
  std::string text = decision.kind() == D::SIZE ? "size: " : "level: ";
  absl::StrAppend(&text, HasUsage(in) ? absl::StrFormat("demand is %.6g", in.usage().demand())
                                      : std::string("demand is unknown or stale"));
  if (!in.usage().error().empty()) absl::StrAppend(&text, " (", in.usage().error(), ")");
  AppendPrediction(decision, text);
  absl::StrAppendFormat(
      &text, "; the base carries %.6g, an instance %.6g: %d of %d shadow instances are to serve",
      in.base_capacity(), in.instance_capacity(), decision.target_active(),
      decision.target_instances());
  absl::StrAppendFormat(&text, " (before: %d of %d)", in.current_active(), in.current_instances());
  const char* separator = " because ";
  for (const int reason : decision.reasons()) {
    absl::StrAppend(&text, separator, D::Reason_Name(static_cast<D::Reason>(reason)));
    separator = ", ";
  }
  return text;
}

int ActiveCount(int instances, int level) {
  return static_cast<int>((static_cast<int64_t>(instances) * level + 99) / 100);
}

int LevelFor(int instances, int active) {
  if (instances <= 0 || active <= 0) return 0;
  int level = static_cast<int>(static_cast<int64_t>(active) * 100 / instances);
  while (level < 100 && ActiveCount(instances, level) < active) ++level;
  return level;
}

int SizeByHand(double demand, double increase, double base_capacity, double instance_capacity) {
  const double need = std::ceil((demand + increase - base_capacity) / instance_capacity);
  return static_cast<int>(std::clamp<double>(need, 1, kInstancesMax));
}

v1::Decision Decide(D::Kind kind, D::Inputs inputs, absl::Time now) {
  Draft draft{inputs, {}, inputs.current_instances(), inputs.current_active()};
  draft.decision.set_kind(kind);
  *draft.decision.mutable_time() = ToProto(now);
  const bool held = inputs.has_hold_until_time() && now < FromProto(inputs.hold_until_time());
  if (held) {
    draft.decision.set_ready_need(kind == D::SIZE ? SizeNeed(inputs) : LevelNeed(inputs));
    draft.Because(D::HELD);
  } else {
    kind == D::SIZE ? DecideSize(draft) : DecideLevel(draft);
    // Nothing waits suspended where no forecast is used.
    if (!Predictive(inputs)) draft.active = draft.instances;
    Bound(draft);
  }
  if (inputs.mode() != v1::Policy::AUTOMATIC) draft.Because(D::OBSERVING);
  draft.decision.set_target_instances(draft.instances);
  draft.decision.set_target_active(draft.active);
  draft.decision.set_target_activation_level(LevelFor(draft.instances, draft.active));
  *draft.decision.mutable_inputs() = std::move(inputs);
  return std::move(draft.decision);
}

WantedCounts WantsNow(const D::Inputs& inputs) {
  return {.instances = ReactiveInstances(inputs), .active = LevelInstances(inputs)};
}

bool RememberWant(v1::PlannerState& state, absl::Time now, absl::Duration window, int instances,
                  int active) {
  auto& wants = *state.mutable_wants();
  const bool again = !wants.empty() && wants.rbegin()->instances() == instances &&
                     wants.rbegin()->active() == active;
  // A later want that is at least as high in both hides the earlier one.
  while (!wants.empty() && wants.rbegin()->instances() <= instances &&
         wants.rbegin()->active() <= active) {
    wants.RemoveLast();
  }
  int expired = 0;
  while (expired < wants.size() && FromProto(wants[expired].time()) + window < now) ++expired;
  expired = std::max(expired, wants.size() - kWantsMax + 1);
  if (expired > 0) wants.DeleteSubrange(0, expired);
  v1::PlannerState::Want& want = *state.add_wants();
  *want.mutable_time() = ToProto(now);
  want.set_instances(instances);
  want.set_active(active);
  return !again;
}

void ResumeWants(v1::PlannerState& state, absl::Time last_decision) {
  if (state.wants().empty()) return;
  v1::PlannerState::Want& newest = *state.mutable_wants()->rbegin();
  if (FromProto(newest.time()) < last_decision) *newest.mutable_time() = ToProto(last_decision);
}

WantedCounts HighestWants(const v1::PlannerState& state, absl::Time now, absl::Duration window) {
  WantedCounts highest;
  for (const auto& want : state.wants()) {
    if (FromProto(want.time()) + window < now) continue;
    highest.instances = std::max(highest.instances, want.instances());
    highest.active = std::max(highest.active, want.active());
  }
  return highest;
}

}  // namespace shadow
