#include "server/providers/systemd/open_systemd.h"

#include <utility>

#include "server/providers/systemd/systemd_provider.h"
#include "server/units/sd_bus_units.h"

namespace shadow {

absl::StatusOr<std::unique_ptr<Provider>> OpenSystemdProvider(const SystemdHome& home,
                                                              const v1::SystemdProvider& spec) {
  if (spec.manager() == v1::SystemdProvider::SYSTEM) {
    return absl::UnimplementedError("manager SYSTEM: this shadowd has no shadowd-units");
  }
  const auto directory = UnitDirectory(home.state_dir);
  if (!directory.ok()) return directory.status();
  auto units = std::make_unique<SdBusUnits>(
      SdBusUnits::Options{.way = UnitWay::kUser,
                          .slice = spec.slice().empty() ? "shadow.slice" : spec.slice(),
                          .store_id = home.store_id,
                          .secrets_dir = *directory,
                          .clock = home.clock});
  return std::make_unique<SystemdProvider>(
      std::move(units), SystemdProvider::Options{.way = UnitWay::kUser,
                                                 .log_dir = *directory,
                                                 .store_id = home.store_id,
                                                 .epoch = home.epoch,
                                                 .log_max_bytes = home.log_max_bytes,
                                                 .collect = nullptr,
                                                 .clock = home.clock});
}

}  // namespace shadow
