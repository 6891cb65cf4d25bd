#include "server/units/sd_bus_units.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/units/secret_files.h"
#include "server/units/unit_failure.h"
#include "server/units/unit_look.h"
#include "server/units/unit_name.h"

namespace shadow {
namespace {

// Of the seam's 2 s: a look, and the start of a unit.
constexpr absl::Duration kLookTimeout = absl::Milliseconds(1600);
constexpr absl::Duration kStartTimeout = absl::Milliseconds(1200);
constexpr size_t kFreeMax = 16;

absl::Status OkIfGone(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// A method of the manager that takes a unit's name and what `append` adds.
template <typename Append>
absl::Status CallOfUnit(sd_bus* bus, const char* method, const std::string& name,
                        const Append& append) {
  const auto call = ManagerCall(bus, method);
  if (!call.ok()) return call.status();
  int result = sd_bus_message_append(call->get(), "s", name.c_str());
  if (result >= 0) result = append(call->get());
  if (result < 0) return BusStatus(result, absl::StrCat(method, " of ", name));
  return Ask(bus, call->get(), kBusQuestionTimeout, absl::StrCat(method, " of ", name)).status();
}

absl::Status CallOfUnit(sd_bus* bus, const char* method, const std::string& name) {
  return CallOfUnit(bus, method, name, [](sd_bus_message*) { return 0; });
}

absl::Status KillUnit(sd_bus* bus, const std::string& name, const char* who, int signal) {
  return CallOfUnit(bus, "KillUnit", name, [&](sd_bus_message* call) {
    return sd_bus_message_append(call, "si", who, int32_t{signal});
  });
}

absl::Status StopUnit(sd_bus* bus, const std::string& name) {
  return CallOfUnit(bus, "StopUnit", name, [](sd_bus_message* call) {
    return sd_bus_message_append(call, "s", "replace");
  });
}

// The end of the jobs of one unit, as JobRemoved tells of it.
struct JobEnd {
  std::string unit;
  std::string result;  // "done", "failed", ...; empty: none has ended.
};

int OnJobRemoved(sd_bus_message* message, void* data, sd_bus_error* /*error*/) {
  uint32_t id = 0;
  const char *job, *unit, *result;
  auto& end = *static_cast<JobEnd*>(data);
  if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) >= 0 && end.unit == unit) {
    end.result = result;
  }
  return 0;
}

}  // namespace

SdBusUnits::SdBusUnits(const Options& options)
    : options_(options), prefix_(UnitPrefix(options.store_id, options.slice)) {}

template <typename Call>
auto SdBusUnits::OnBus(const Call& call) -> decltype(call(nullptr)) {
  for (const bool last : {false, true}) {
    auto bus = Borrow();
    if (!bus.ok()) return bus.status();
    auto result = call(bus->get());
    if (sd_bus_is_open(bus->get()) > 0) {
      // What was not answered would be answered to the next call.
      absl::Status status;
      if constexpr (std::is_same_v<decltype(result), absl::Status>) {
        status = result;
      } else {
        status = result.status();
      }
      if (!absl::IsUnavailable(status)) Return(*std::move(bus));
      return result;
    }
    if (last) return result;
    const std::lock_guard lock(mutex_);
    free_.clear();
  }
  return absl::InternalError("unreachable");
}

absl::StatusOr<Bus> SdBusUnits::Borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Bus bus = std::move(free_.back());
      free_.pop_back();
      return bus;
    }
  }
  return OpenBus(options_.way);
}

void SdBusUnits::Return(Bus bus) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < kFreeMax) free_.push_back(std::move(bus));
}

std::string SdBusUnits::Name(const std::string& id) const { return UnitName(prefix_, id); }

std::string SdBusUnits::SecretsPath(const std::string& id) const {
  return absl::StrCat(options_.secrets_dir, "/", id, ".env");
}

absl::Status SdBusUnits::Start(const UnitSpec& unit) {
  UnitPlace place{.way = options_.way, .slice = options_.slice, .environment_file = ""};
  if (!unit.dna.security().secrets().empty()) {
    place.environment_file = SecretsPath(unit.id);
    absl::Status written = WriteSecretEnvironment(unit.dna.security(), place.environment_file);
    if (!written.ok()) return written;
  }
  return OnBus([&](sd_bus* bus) { return StartOn(bus, unit, place); });
}

absl::Status SdBusUnits::StartOn(sd_bus* bus, const UnitSpec& unit, const UnitPlace& place) {
  const std::string name = Name(unit.id);
  JobEnd end{.unit = name, .result = ""};
  sd_bus_slot* slot = nullptr;
  // Not of this unit's alone: sd-bus matches no argument behind the number that is the first one.
  const std::string match =
      absl::StrCat("type='signal',sender='", kSystemd, "',path='", kSystemdPath, "',interface='",
                   kSystemdManager, "',member='JobRemoved'");
  const int matched = sd_bus_add_match(bus, &slot, match.c_str(), OnJobRemoved, &end);
  if (matched < 0) return BusStatus(matched, "the service manager cannot be listened to");
  const BusSlot owner(slot);
  // It tells of jobs only while somebody has subscribed. A second time is refused, unheard.
  const int subscribed = sd_bus_call_method_async(
      bus, nullptr, kSystemd, kSystemdPath, kSystemdManager, "Subscribe", nullptr, nullptr, "");
  if (subscribed < 0) return BusStatus(subscribed, "the service manager cannot be listened to");
  const absl::Duration deadline = options_.clock.Now().mono + kStartTimeout;
  const absl::Status asked = CallOfUnit(bus, "StartTransientUnit", name, [&](sd_bus_message* call) {
    int result = sd_bus_message_append(call, "s", "fail");
    if (result >= 0) result = AppendProperties(call, UnitProperties(unit, place));
    return result < 0 ? result : sd_bus_message_append(call, "a(sa(sv))", 0);
  });
  while (asked.ok() && end.result.empty()) {
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0) return BusStatus(done, name);
    if (done > 0) continue;
    const absl::Duration left = deadline - options_.clock.Now().mono;
    if (left <= absl::ZeroDuration()) return absl::OkStatus();  // It goes on starting.
    const int waited = sd_bus_wait(bus, static_cast<uint64_t>(absl::ToInt64Microseconds(left)));
    if (waited < 0 && waited != -EINTR) return BusStatus(waited, name);
  }
  if (!place.environment_file.empty()) unlink(place.environment_file.c_str());
  if (absl::IsAlreadyExists(asked)) return absl::OkStatus();
  if (!asked.ok() || end.result == "done") return asked;
  const auto seen = Look(bus, unit.id);
  if (!seen.ok() || seen->empty()) return seen.status();
  absl::Status failure = StartFailure(seen->front(), unit.dna);
  if (failure.ok()) return failure;  // It has run; how it ended is to be seen.
  absl::Status forgotten = OkIfGone(CallOfUnit(bus, "ResetFailedUnit", name));
  return forgotten.ok() ? failure : forgotten;
}

absl::Status SdBusUnits::CheckRuns(sd_bus* bus, const std::string& name) const {
  const auto state = ReadProperty(bus, UnitPath(name), kSystemdUnit, "SubState");
  if (!state.ok()) return state.status();
  if (*state == "running" || *state == "start") return absl::OkStatus();
  if (state->starts_with("stop") || state->starts_with("final")) {
    return absl::FailedPreconditionError(absl::StrCat(name, " is being stopped"));
  }
  return absl::NotFoundError(absl::StrCat(name, " is gone"));
}

absl::Status SdBusUnits::SetProperties(sd_bus* bus, const std::string& name,
                                       const std::vector<UnitProperty>& properties) const {
  return CallOfUnit(bus, "SetUnitProperties", name, [&](sd_bus_message* call) {
    const int result = sd_bus_message_append(call, "b", 1);
    return result < 0 ? result : AppendProperties(call, properties);
  });
}

bool SdBusUnits::Misses(std::string_view controller) {
  const std::lock_guard lock(mutex_);
  return missing_controllers_.has_value() &&
         std::find(missing_controllers_->begin(), missing_controllers_->end(), controller) !=
             missing_controllers_->end();
}

absl::Status SdBusUnits::SetCpu(sd_bus* bus, const std::string& name,
                                const std::vector<UnitProperty>& properties) {
  return Misses("cpu") ? absl::OkStatus() : SetProperties(bus, name, properties);
}

absl::Status SdBusUnits::Suspend(const std::string& id) {
  const std::string name = Name(id);
  return OnBus([&](sd_bus* bus) {
    absl::Status status = CheckRuns(bus, name);
    if (status.ok()) status = CallOfUnit(bus, "FreezeUnit", name);
    if (status.ok()) status = SetCpu(bus, name, SuspendedLimits());
    if (!status.ok() || Misses("memory")) return status;
    const auto group = ReadProperty(bus, UnitPath(name), kSystemdService, "ControlGroup");
    if (group.ok() && !group->empty()) reclaimer_.Begin(id, CgroupPath(*group));
    return status;
  });
}

absl::Status SdBusUnits::Resume(const std::string& id, const v1::Dna& dna) {
  const std::string name = Name(id);
  reclaimer_.End(id);
  return OnBus([&](sd_bus* bus) {
    absl::Status status = CheckRuns(bus, name);
    if (status.ok()) status = SetCpu(bus, name, RunningLimits(dna));
    return status.ok() ? CallOfUnit(bus, "ThawUnit", name) : status;
  });
}

absl::Status SdBusUnits::Signal(const std::string& id, int signal) {
  return OnBus([&](sd_bus* bus) { return KillUnit(bus, Name(id), "main", signal); });
}

absl::Status SdBusUnits::Stop(const std::string& id, bool force) {
  const std::string name = Name(id);
  reclaimer_.End(id);
  unlink(SecretsPath(id).c_str());
  return OnBus([&](sd_bus* bus) -> absl::Status {
    if (force) {
      const absl::Status killed = KillUnit(bus, name, "all", SIGKILL);
      if (!OkIfGone(killed).ok()) return killed;
    } else if (CheckRuns(bus, name).ok()) {
      absl::Status woken = SetCpu(bus, name, RunningLimits(v1::Dna()));
      if (woken.ok()) woken = CallOfUnit(bus, "ThawUnit", name);
      if (!OkIfGone(woken).ok()) return woken;
    }
    return OkIfGone(StopUnit(bus, name));
  });
}

absl::Status SdBusUnits::Forget(const std::string& id) {
  reclaimer_.End(id);
  unlink(SecretsPath(id).c_str());
  return OnBus([&](sd_bus* bus) -> absl::Status {
    const absl::Status status = OkIfGone(CallOfUnit(bus, "ResetFailedUnit", Name(id)));
    return status.ok() ? OkIfGone(StopUnit(bus, Name(id))) : status;
  });
}

absl::StatusOr<std::vector<UnitView>> SdBusUnits::Look(sd_bus* bus, const std::string& id) {
  const UnitQuery query{.prefix = prefix_,
                        .store_id = options_.store_id,
                        .id = id,
                        .deadline = options_.clock.Now().mono + kLookTimeout};
  auto views = LookAtUnits(bus, query, options_.clock);
  if (!views.ok()) return views;
  const std::lock_guard lock(mutex_);
  if (!missing_controllers_.has_value()) missing_controllers_ = MissingControllers(bus);
  for (UnitView& view : *views) {
    view.missing_controllers = *missing_controllers_;
    view.reclaimed = reclaimer_.Reclaimed(view.id);
  }
  return views;
}

absl::StatusOr<std::optional<UnitView>> SdBusUnits::Get(const std::string& id) {
  auto views = OnBus([&](sd_bus* bus) { return Look(bus, id); });
  if (!views.ok()) return views.status();
  if (views->empty()) return std::nullopt;
  return std::move(views->front());
}

absl::StatusOr<std::vector<UnitView>> SdBusUnits::List() {
  return OnBus([&](sd_bus* bus) { return Look(bus, ""); });
}

void SdBusUnits::Listen(const std::function<void(std::string_view id)>& on_change) {
  signals_.emplace(options_.way, prefix_, on_change);
}

}  // namespace shadow
