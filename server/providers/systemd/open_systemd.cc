#include "server/providers/systemd/open_systemd.h"

#include <utility>

#include "server/providers/systemd/system_unit_facts.h"
#include "server/providers/systemd/systemd_provider.h"
#include "server/units/privileged_units.h"
#include "server/units/sd_bus_units.h"

namespace shadow {
namespace {

// Units of the host, through shadowd-units, in the slice of its policy. The journal has their logs.
std::unique_ptr<Provider> OpenSystemUnits(const SystemdHome& home) {
  auto units = std::make_unique<PrivilegedUnits>(
      PrivilegedUnits::Options{.store_id = home.store_id}, home.clock);
  return std::make_unique<SystemdProvider>(
      std::move(units),
      SystemdProvider::Options{
          .way = UnitWay::kSystem,
          .log_dir = "",
          .store_id = home.store_id,
          .epoch = home.epoch,
          .log_max_bytes = home.log_max_bytes,
          .collect =
              [store_id = home.store_id, &clock = home.clock](
                  const CompiledDna& dna, const UnitView& unit, const std::stop_token& stop) {
                return CollectSystemUnitFacts(dna, unit, store_id, clock, stop);
              },
          .clock = home.clock});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Provider>> OpenSystemdProvider(const SystemdHome& home,
                                                              const v1::SystemdProvider& spec) {
  if (spec.manager() == v1::SystemdProvider::SYSTEM) return OpenSystemUnits(home);
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
