// Units in memory: nothing runs, all is at once, with public knobs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/units/units.h"

namespace shadow {

// What a service manager keeps; outlives those that ask it. Thread-safe.
struct UnitsInMemory {
  std::mutex mutex;
  std::map<std::string, UnitView> units;            // By id.
  std::map<std::string, UnitSpec> specs;            // As they were started.
  std::map<std::string, std::vector<int>> signals;  // That each got, in order.
  std::function<void(std::string_view id)> on_change;
  bool stubborn = false;  // Units do not end when they are asked to.
  std::vector<std::string> missing_controllers;
  std::optional<ReclaimedMemory> reclaimed;  // Of each that is frozen.
  absl::Status down;                         // What each call comes to, unless it is OK.
  std::function<void()> on_list;  // Called with what a list has seen still to be returned.

  // As if the unit had ended by itself: with an exit status (code 1), or by a signal (code 2).
  void Exit(const std::string& id, int code, int status) {
    std::function<void(std::string_view)> tell;
    {
      const std::lock_guard lock(mutex);
      UnitView& unit = units.at(id);
      const bool well = code == 1 && status == 0;
      unit.active_state = well ? "active" : "failed";
      unit.sub_state = well ? "exited" : "failed";
      unit.result = well ? "success" : code == 1 ? "exit-code" : "signal";
      unit.main_pid = 0;
      unit.exec_main_code = code;
      unit.exec_main_status = status;
      tell = on_change;
    }
    if (tell) tell(id);
  }
};

class FakeUnits final : public Units {
 public:
  explicit FakeUnits(std::shared_ptr<UnitsInMemory> manager) : manager_(std::move(manager)) {}

  absl::Status Start(const UnitSpec& spec) override {
    const std::lock_guard lock(manager_->mutex);
    if (!manager_->down.ok()) return manager_->down;
    if (manager_->units.contains(spec.id)) return absl::OkStatus();
    UnitView& unit = manager_->units[spec.id];
    unit.id = spec.id;
    unit.pool = spec.pool;
    unit.shadow = spec.shadow;
    unit.store_id = spec.store_id;
    unit.epoch = spec.epoch;
    unit.revision_name = spec.revision_name;
    unit.port = spec.port;
    unit.active_state = "active";
    unit.sub_state = "running";
    unit.freezer_state = "running";
    unit.result = "success";
    unit.main_pid = 1'000'000 + static_cast<int>(manager_->specs.size());
    unit.missing_controllers = manager_->missing_controllers;
    manager_->specs[spec.id] = spec;
    return absl::OkStatus();
  }

  absl::Status Suspend(const std::string& id) override { return SetFreezer(id, "frozen"); }

  absl::Status Resume(const std::string& id, const v1::Dna& /*dna*/) override {
    return SetFreezer(id, "running");
  }

  absl::Status Signal(const std::string& id, int signal) override {
    const std::lock_guard lock(manager_->mutex);
    auto unit = Running(id);
    if (!unit.ok()) return unit.status();
    manager_->signals[id].push_back(signal);
    return absl::OkStatus();
  }

  absl::Status Stop(const std::string& id, bool force) override {
    const std::lock_guard lock(manager_->mutex);
    if (!manager_->down.ok()) return manager_->down;
    const auto found = manager_->units.find(id);
    if (found == manager_->units.end() || found->second.active_state == "failed") {
      return absl::OkStatus();
    }
    UnitView& unit = found->second;
    if (force && unit.main_pid != 0) {
      unit.active_state = unit.sub_state = "failed";
      unit.result = "signal";
      unit.main_pid = 0;
      unit.exec_main_code = 2;
      unit.exec_main_status = 9;
    } else if (manager_->stubborn && unit.main_pid != 0) {
      unit.active_state = "deactivating";
      unit.sub_state = "stop-sigterm";
      unit.freezer_state = "running";
    } else {
      manager_->units.erase(found);
    }
    return absl::OkStatus();
  }

  absl::Status Forget(const std::string& id) override {
    const std::lock_guard lock(manager_->mutex);
    if (!manager_->down.ok()) return manager_->down;
    const auto found = manager_->units.find(id);
    if (found != manager_->units.end() && found->second.main_pid == 0) manager_->units.erase(found);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<UnitView>> Get(const std::string& id) override {
    const std::lock_guard lock(manager_->mutex);
    if (!manager_->down.ok()) return manager_->down;
    const auto found = manager_->units.find(id);
    if (found == manager_->units.end()) return std::nullopt;
    return found->second;
  }

  absl::StatusOr<std::vector<UnitView>> List() override {
    std::vector<UnitView> all;
    {
      const std::lock_guard lock(manager_->mutex);
      if (!manager_->down.ok()) return manager_->down;
      for (const auto& [id, unit] : manager_->units) all.push_back(unit);
    }
    if (manager_->on_list) manager_->on_list();
    return all;
  }

  void Listen(const std::function<void(std::string_view id)>& on_change) override {
    const std::lock_guard lock(manager_->mutex);
    manager_->on_change = on_change;
  }

 private:
  // The rest with the manager's mutex.
  absl::StatusOr<UnitView*> Running(const std::string& id) {
    if (!manager_->down.ok()) return manager_->down;
    const auto found = manager_->units.find(id);
    if (found == manager_->units.end() || found->second.main_pid == 0) {
      return absl::NotFoundError(id + " is gone");
    }
    if (found->second.active_state == "deactivating") {
      return absl::FailedPreconditionError(id + " is being stopped");
    }
    return &found->second;
  }

  absl::Status SetFreezer(const std::string& id, const std::string& state) {
    const std::lock_guard lock(manager_->mutex);
    const auto unit = Running(id);
    if (!unit.ok()) return unit.status();
    (*unit)->freezer_state = state;
    (*unit)->reclaimed = state == "frozen" ? manager_->reclaimed : std::nullopt;
    return absl::OkStatus();
  }

  const std::shared_ptr<UnitsInMemory> manager_;
};

}  // namespace shadow
