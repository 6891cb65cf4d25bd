// The control loop as a state machine: inputs in, `Ready` out. No thread, no I/O, no clock: its
// driver (server/control_thread, or a test on a manual clock) makes batches durable, runs effects,
// and hands their results back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/core/loop/changes.h"
#include "server/core/loop/mutations/request.h"
#include "server/core/loop/pool_work.h"
#include "server/core/loop/status/snapshot.h"
#include "server/core/loop/world.h"

namespace shadow {

// Control thread only, as everything in this folder that is not said to be for one pool alone.
class ControlLoop {
 public:
  struct Options {
    // Those of pools, and the default one. false: no instance comes or goes by itself.
    bool lists_providers = true;
    int instances_max = 1000;  // Of all pools together.
    // Between two saves of what a pool has learned; what came since is replayed at a start.
    absl::Duration save_interval = absl::Minutes(15);
    // Of loaded pools, instead of MakeForecaster: replays share one.
    std::function<std::unique_ptr<Forecaster>(const CompiledPool&)> make_forecaster = {};
    // Lends the threads of its driver to what concerns one pool alone. Decisions do not depend on
    // it.
    ParallelFor parallel_for = OneByOne;
  };

  explicit ControlLoop(Options options) : options_(std::move(options)) {
    world_.instances_max = options_.instances_max;
    world_.save_interval = options_.save_interval;
  }

  // Takes over what the store holds. First call. kDataLoss, naming the record: it does not make
  // sense.
  absl::Status Load(const v1::StoreContents& contents, Instant now);

  // History of a loaded pool since its saved forecaster, oldest first; any number of calls before
  // Recover, those for different pools also at once.
  void Replay(const std::string& pool_name, const std::vector<v1::Sample>& samples);
  // The oldest sample of a loaded pool whose record, of an older version, does not say it.
  void SetFirstSample(const std::string& pool_name, absl::Time time);
  // Where the replay has to begin.
  absl::Time ReplayFrom(const std::string& pool_name) const;

  // The forecasters that have lost the fit that they go by: to be asked for before the replay. Each
  // may be fitted on a thread of its own.
  std::vector<Forecaster*> LostFits();

  // What was found at the start and is to be told, by Recover: an event and a line in the log.
  // `name`: of the resource; empty: of the store.
  void AddFinding(std::string name, std::string text);

  // Second: finishes or undoes what was under way when the last daemon ended.
  Ready Recover(Instant now);

  // One request. The answer is to be sent when the batch is durable.
  struct Handled {
    Ready ready;
    Answer answer;
  };
  Handled Handle(const Request& request, Instant now);

  Ready OnResult(const EffectResult& result, Instant now);

  // The instances with these ids may have changed, say their providers. Nothing is believed of it:
  // the next look at each instance is due now, if one must come at all. Unknown ids: nothing.
  Ready OnHints(const std::set<std::string>& ids, Instant now);

  // What the disk of the store has room for now. Before the first call: for all.
  Ready OnRoom(const DiskRoom& room, Instant now);

  // The configuration has another limit of all instances together. One below what there is makes
  // them scarce: the decisions that follow share them, and what has to go is drained first.
  Ready OnInstancesMax(int instances_max, Instant now);

  // Everything that is due at `now`.
  Ready Tick(Instant now);

  // When Tick has something to do next, on the monotonic clock.
  absl::Duration NextTick() const;

  // For a clean end: saves what some pools have learned. To be called until it is unset, and
  // nothing else after the first call.
  std::optional<Ready> Close(Instant now);

  // The present state, sharing with the last snapshot what has not changed; the last one itself if
  // nothing has. To be shown once the batches of all inputs so far are durable.
  std::shared_ptr<const Snapshot> TakeSnapshot();

  const World& world() const { return world_; }

 private:
  struct InFlight {
    Effect::Kind kind;
    std::string pool;      // Short.
    std::string member;    // Id.
    std::string provider;  // Its key.
    absl::Duration asked;
  };

  std::vector<PoolEntry*> NextDue(absl::Duration now);
  Ready Finish(Changes& changes);
  void ListProviders(Changes& changes);
  void SettleTouched(Changes& changes);
  void OnPoolResult(Changes& changes, PoolEntry& pool, const InFlight& asked,
                    const EffectResult& result);

  const Options options_;
  World world_;
  std::map<uint64_t, InFlight> in_flight_;
  std::shared_ptr<const Snapshot> snapshot_;
  absl::Duration next_forget_;
  std::string checked_;  // The pool that was checked last.
  std::vector<std::pair<std::string, std::string>> findings_;
  bool closing_ = false;
};

// Pools that a tick takes, those that have been due longest; the next tick goes on with the rest
// at once, and requests come in between.
inline constexpr size_t kPoolsPerTick = 512;
inline constexpr absl::Duration kForgetInterval = absl::Minutes(1);  // Of old request ids.

}  // namespace shadow
