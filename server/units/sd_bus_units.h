// Units of a service manager, over D-Bus (org.freedesktop.systemd1(5)): the user's own, or, as
// root, the system's. Nothing is known only in memory: what a unit is stands in its name and
// description.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/core/clock.h"
#include "server/units/bus.h"
#include "server/units/reclaimer.h"
#include "server/units/unit_properties.h"
#include "server/units/unit_signals.h"
#include "server/units/units.h"

namespace shadow {

// Each call has a connection to the bus of its own while it lasts: one that is free, or a new one.
class SdBusUnits final : public Units {
 public:
  struct Options {
    UnitWay way = UnitWay::kUser;
    std::string slice;     // Of the provider: "shadow.slice".
    std::string store_id;  // Of the store whose units these are.
    // Holds secrets while a unit starts, in files that only our user can read. Must exist.
    std::string secrets_dir;
    Clock& clock;  // Must be a real one.
  };

  explicit SdBusUnits(const Options& options);

  absl::Status Start(const UnitSpec& unit) override;
  absl::Status Suspend(const std::string& id) override;
  absl::Status Resume(const std::string& id, const v1::Dna& dna) override;
  absl::Status Signal(const std::string& id, int signal) override;
  absl::Status Stop(const std::string& id, bool force) override;
  absl::Status Forget(const std::string& id) override;
  absl::StatusOr<std::optional<UnitView>> Get(const std::string& id) override;
  absl::StatusOr<std::vector<UnitView>> List() override;
  void Listen(const std::function<void(std::string_view id)>& on_change) override;

 private:
  // `call(sd_bus*)` on a connection; once more on a new one if that one was broken.
  template <typename Call>
  auto OnBus(const Call& call) -> decltype(call(nullptr));
  absl::StatusOr<Bus> Borrow();
  void Return(Bus bus);

  absl::Status StartOn(sd_bus* bus, const UnitSpec& unit, const UnitPlace& place);
  // kNotFound: it has ended, or there is none.
  absl::Status CheckRuns(sd_bus* bus, const std::string& name) const;
  absl::Status SetProperties(sd_bus* bus, const std::string& name,
                             const std::vector<UnitProperty>& properties) const;
  // Limits of CPU, where the manager can set them.
  absl::Status SetCpu(sd_bus* bus, const std::string& name,
                      const std::vector<UnitProperty>& properties);
  absl::StatusOr<std::vector<UnitView>> Look(sd_bus* bus, const std::string& id);
  bool Misses(std::string_view controller);
  std::string Name(const std::string& id) const;
  std::string SecretsPath(const std::string& id) const;

  const Options options_;
  const std::string prefix_;
  std::mutex mutex_;  // Guards what follows.
  std::vector<Bus> free_;
  std::optional<std::vector<std::string>> missing_controllers_;  // Unset: not asked yet.
  Reclaimer reclaimer_;
  std::optional<UnitSignals> signals_;
};

}  // namespace shadow
