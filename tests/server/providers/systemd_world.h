// The systemd provider to be tested: over units in memory, and over those of a real manager of this
// user, which only a host that is booted for it has (tests/host).
#pragma once

#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "server/providers/systemd/systemd_provider.h"
#include "server/units/sd_bus_units.h"
#include "tests/fakes/fake_units.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {

// What the provider needs, whatever its units are.
class SystemdWorld {
 public:
  static constexpr bool kTells = true;
  static constexpr char kEndReason[] = "killed by SIGKILL";  // Of what End ended.

  Provider& provider() { return *provider_; }

  static CompiledDna Dna() { return TestDna({"/bin/sleep", "1000"}); }
  static CompiledDna LimitedDna() { return WithLimits(Dna()); }

  static CompiledDna ScarceDna() {
    CompiledDna dna = Dna();
    const int port = FreeLoopbackPort();
    dna.dna.mutable_network()->set_port_min(port);
    dna.dna.mutable_network()->set_port_max(port);
    return dna;
  }

  std::string Epoch() const { return store_id_ + "/" + std::to_string(epoch); }
  const TemporaryDirectory& directory() const { return directory_; }
  std::string LogPath(const std::string& id) const { return directory_ / ("units/" + id + ".log"); }

  int epoch = 1;  // Of the store; counts from the next Reopen on.
  int64_t log_max_bytes = 1 << 20;

 protected:
  Provider& Open(std::unique_ptr<Units> units, SystemdProvider::Collect collect) {
    provider_ = std::make_unique<SystemdProvider>(
        std::move(units), SystemdProvider::Options{.way = UnitWay::kUser,
                                                   .log_dir = directory_ / "units",
                                                   .store_id = store_id_,
                                                   .epoch = Epoch(),
                                                   .log_max_bytes = log_max_bytes,
                                                   .collect = std::move(collect),
                                                   .clock = clock_});
    return *provider_;
  }

  TemporaryDirectory directory_;
  std::string store_id_ = "store-of-" + directory_.path();
  SystemClock clock_;
  std::unique_ptr<SystemdProvider> provider_;
};

class FakeUnitsWorld : public SystemdWorld {
 public:
  FakeUnitsWorld() {
    REQUIRE(UnitDirectory(directory_.path()).ok());
    Reopen();
  }

  // Its facts are what its DNA says: nothing of it runs that could be otherwise.
  Provider& Reopen() {
    return Open(std::make_unique<FakeUnits>(manager_),
                [](const CompiledDna& dna, const UnitView&, const std::stop_token&) {
                  Facts facts;
                  facts.uid = facts.wanted_uid = 1;
                  facts.no_new_privileges = dna.dna.security().no_new_privileges();
                  facts.limits["open_files_max"] = dna.dna.resources().open_files_max();
                  return absl::StatusOr<Facts>(facts);
                });
  }

  CompiledDna StubbornDna() {
    manager_->stubborn = true;
    return Dna();
  }
  void AwaitStubborn(const InstanceSpec& /*instance*/) const {}
  void End(const InstanceSpec& instance) { manager_->Exit(instance.id, 2, SIGKILL); }

  UnitsInMemory& manager() { return *manager_; }

 private:
  std::shared_ptr<UnitsInMemory> manager_ = std::make_shared<UnitsInMemory>();
};

// At its end nothing of its store is left.
class UserUnitsWorld : public SystemdWorld {
 public:
  UserUnitsWorld() {
    REQUIRE(UnitDirectory(directory_.path()).ok());
    Reopen();
  }
  ~UserUnitsWorld() {
    if (!provider_) return;
    const auto all = provider_->List();
    if (!all.ok()) return;
    for (const Observation& seen : *all) {
      const InstanceSpec instance{.id = seen.id, .name = "", .pool = "", .shadow = "", .dna = {}};
      PollUntil(kPatience, [&] {
        (void)Kill(*provider_, instance);
        const auto now = provider_->Inspect(instance);
        return now.ok() && now->life == Life::kAbsent;
      });
    }
  }

  Provider& Reopen() {
    auto units =
        std::make_unique<SdBusUnits>(SdBusUnits::Options{.way = UnitWay::kUser,
                                                         .slice = "shadowtest.slice",
                                                         .store_id = store_id_,
                                                         .secrets_dir = directory_ / "units",
                                                         .clock = clock_});
    units_ = units.get();
    return Open(std::move(units), nullptr);
  }

  static CompiledDna StubbornDna() {
    return TestDna({"/bin/bash", "-c", "trap '' TERM; echo deaf; sleep 1000"});
  }
  void AwaitStubborn(const InstanceSpec& instance) const {
    REQUIRE(PollUntil(kPatience, [&] {
      std::error_code none;
      const auto bytes = std::filesystem::file_size(LogPath(instance.id), none);
      return !none && bytes > 0;
    }));
  }
  void End(const InstanceSpec& instance) {
    REQUIRE(kill(PidOf(Look(*provider_, instance)), SIGKILL) == 0);
  }

  // Below the provider.
  Units& units() { return *units_; }

 private:
  Units* units_ = nullptr;
};

}  // namespace shadow
