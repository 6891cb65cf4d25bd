// Each instance is a transient unit of a service manager (server/units/units.h): a control group
// with limits, frozen while it is suspended. Nothing of it can escape, and how it ended is kept by
// the manager.
//
//   DIR/units/ID.log   its standard output and error, where the manager is the user's own; the
//                      system's has the journal. Cut to its last half by a look that finds it
//                      larger than `log_max_bytes`.
//   DIR/units/ID.env   its secrets, while it starts.
//   DIR/units/*.ended  the logs of the last ones that have ended (logs/kept_logs.h).
//
// What an instance is stands in its unit's name and description: a new object takes every instance
// over, and instances outlive the daemon.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/providers/facts/process_facts.h"
#include "server/providers/process_ports.h"
#include "server/units/units.h"

namespace shadow {

// Thread-safe as ports.h says.
class SystemdProvider final : public Provider {
 public:
  // The facts of a running unit. Blocks, as CollectUnitFacts, the default.
  using Collect = std::function<absl::StatusOr<Facts>(const CompiledDna& dna, const UnitView& unit,
                                                      const std::stop_token& stop)>;
  struct Options {
    UnitWay way = UnitWay::kUser;
    std::string log_dir;   // Of the logs, made by UnitDirectory; empty: the journal has them.
    std::string store_id;  // UUID of the store.
    std::string epoch;     // Of the store, STORE_ID/RANDOM.
    int64_t log_max_bytes = 1 << 20;
    Collect collect;  // Unset: CollectUnitFacts.
    Clock& clock;     // Must be a real one.
  };

  SystemdProvider(std::unique_ptr<Units> units, Options options);

  void Listen(const std::function<void(std::string_view id)>& on_change) override {
    units_->Listen(on_change);
  }

  // Refuses what the way cannot do (unit_properties.h).
  absl::Status Supports(const CompiledDna& dna) override;

  // kCreate, also kFailedPrecondition: the manager could not carry out a field of the DNA; nothing
  // is left of it then. All, also kUnavailable: the manager did not answer.
  std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) override;
  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance) override;
  // kResourceExhausted: 4096 instances wait to be looked at.
  absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& instance,
                                                    Part part) override;
  absl::StatusOr<std::vector<Observation>> List() override;
  // kUnimplemented: the journal has them.
  absl::StatusOr<LogPiece> ReadLog(const InstanceSpec& instance,
                                   const LogRequest& request) override;

 private:
  // What is remembered of an instance; lost with the object, and then done without.
  struct Known {
    int port = 0;
    std::shared_ptr<const CompiledDna> dna;  // That it was made from.
    absl::Time start_time;                   // Of its secrets.
    bool stopping = false;                   // Destroy was called.
  };

  absl::Status Carry(const InstanceOp& operation);
  absl::Status Create(const InstanceSpec& instance);
  absl::Status Resume(const InstanceSpec& instance);
  absl::Status Destroy(const InstanceSpec& instance, bool force);

  Observation Observe(const UnitView& unit, bool stopping);
  // How it ended, with its last words.
  std::string WithOutput(const UnitView& unit) const;
  // Removes all that is known of it but its last words.
  void Drop(const InstanceSpec& instance);
  bool Stopping(const std::string& id) const;
  std::string LogPath(const std::string& id) const;
  // Of all instances that there are.
  absl::StatusOr<std::set<int>> PortsInUse();

  const std::unique_ptr<Units> units_;
  const Options options_;
  mutable std::mutex mutex_;  // Guards what follows, down to `listed_`.
  std::map<std::string, Known> known_;
  int listing_ = 0;                // Lists that the manager has been asked for.
  std::set<std::string> dropped_;  // During these: they may still have them, which are gone.
  bool listed_ = false;            // `known_` has the ports of all that there are.
  FreePorts ports_;
  FactsCollector facts_;  // Last: its threads use everything above.
};

// Makes STATE_DIR/units, mode 0700, and returns its path. kFailedPrecondition: it cannot be made,
// or is somebody else's.
absl::StatusOr<std::string> UnitDirectory(const std::string& state_dir);

}  // namespace shadow
