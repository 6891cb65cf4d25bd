// A gate over units in memory, for its tests and those of its socket.
#pragma once

#include <google/protobuf/text_format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/units/gate/units_gate.h"
#include "server/units/policy/policy.h"
#include "server/units/units.h"

namespace shadow {

template <typename M>
M FromText(const std::string& text) {
  M message;
  INFO(text);
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

// What all stores' units of a world have been told.
struct UnitsBehindGate {
  std::mutex mutex;
  std::map<std::string, UnitView> units;  // By id.
  std::vector<UnitSpec> started;
  std::vector<std::string> calls;  // "suspend i1"
  std::function<void(std::string_view)> on_change;
  std::function<void()> on_start;  // Before a start begins.
};

class FakeUnitsBehindGate final : public Units {
 public:
  explicit FakeUnitsBehindGate(UnitsBehindGate& world) : world_(world) {}
  ~FakeUnitsBehindGate() override {
    const std::lock_guard lock(world_.mutex);
    if (listens_) world_.on_change = nullptr;
  }

  absl::Status Start(const UnitSpec& unit) override {
    if (world_.on_start) world_.on_start();
    const std::lock_guard lock(world_.mutex);
    world_.started.push_back(unit);
    UnitView view;
    view.id = unit.id;
    view.pool = unit.pool;
    view.shadow = unit.shadow;
    view.store_id = unit.store_id;
    view.epoch = unit.epoch;
    view.revision_name = unit.revision_name;
    view.port = unit.port;
    view.active_state = "active";
    view.missing_controllers = {"cpu"};
    world_.units[unit.id] = view;
    return absl::OkStatus();
  }
  absl::Status Suspend(const std::string& id) override { return Note("suspend " + id); }
  absl::Status Resume(const std::string& id, const v1::Dna& dna) override {
    return Note("resume " + id + " " + dna.name());
  }
  absl::Status Signal(const std::string& id, int signal) override {
    return Note("signal " + id + " " + std::to_string(signal));
  }
  absl::Status Stop(const std::string& id, bool force) override {
    return Note((force ? "kill " : "stop ") + id);
  }
  absl::Status Forget(const std::string& id) override { return Note("forget " + id); }
  absl::StatusOr<std::optional<UnitView>> Get(const std::string& id) override {
    const std::lock_guard lock(world_.mutex);
    const auto found = world_.units.find(id);
    if (found == world_.units.end()) return std::optional<UnitView>();
    return std::optional<UnitView>(found->second);
  }
  absl::StatusOr<std::vector<UnitView>> List() override {
    const std::lock_guard lock(world_.mutex);
    std::vector<UnitView> views;
    for (const auto& [id, view] : world_.units) views.push_back(view);
    return views;
  }
  void Listen(const std::function<void(std::string_view id)>& on_change) override {
    const std::lock_guard lock(world_.mutex);
    world_.on_change = on_change;
    listens_ = true;
  }

 private:
  absl::Status Note(const std::string& call) {
    const std::lock_guard lock(world_.mutex);
    world_.calls.push_back(call);
    return absl::OkStatus();
  }

  UnitsBehindGate& world_;
  bool listens_ = false;
};

// What a policy of root's may say.
inline constexpr char kGatePolicy[] = R"(
  users: "www-data" users: "33"
  capabilities: "CAP_NET_BIND_SERVICE"
  root_directories: "/srv/roots"
  images: "/srv/images"
  read_only_sources: "/srv/data"
  writable_sources: "/srv/scratch"
  credential_sources: "/etc/shadowd/credentials"
  mount_points: "/mnt/data"
  cpu_millis_max: 2000
  memory_bytes_max: 1073741824
  units_max: 3)";

// A DNA that it grants.
inline constexpr char kGateDna[] = R"(
  name: "dnas/web"
  security { dynamic_user: true }
  resources { cpu_millis: 500 memory_max_bytes: 268435456 }
  process { argv: "/usr/bin/sleep" argv: "1000" })";

inline UnitSpec GateSpec(const std::string& id = "i1") {
  UnitSpec unit;
  unit.id = id;
  unit.pool = "web";
  unit.shadow = "r0123456789ab";
  unit.store_id = "0f0e0d0c-0b0a-4908-8706-050403020100";
  unit.epoch = unit.store_id + "/0123456789abcdef";
  unit.revision_name = "dnas/web@0123456789ab";
  unit.dna = FromText<v1::Dna>(kGateDna);
  unit.port = 20001;
  return unit;
}

inline const DaemonUser kGateDaemon{.name = "shadowd", .uid = 990};

struct GateWorld {
  UnitsBehindGate behind;
  absl::StatusOr<v1::UnitsPolicy> policy =
      CompileUnitsPolicy(FromText<v1::UnitsPolicy>(kGatePolicy));
  absl::Status paths;  // Of each DNA.
  UnitsGate gate{
      {.daemon = kGateDaemon,
       .policy = [this] { return policy; },
       .make = [this](const std::string&,
                      const std::string&) { return std::make_unique<FakeUnitsBehindGate>(behind); },
       .count =
           [this] {
             const std::lock_guard lock(behind.mutex);
             return absl::StatusOr<int>(static_cast<int>(behind.units.size()));
           },
       .check_paths = [this](const v1::Dna&) { return paths; }}};
};

}  // namespace shadow
