// What one input of the control loop leads to: gathered while it is handled, handed out as data.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "server/core/loop/parallel_for.h"
#include "server/core/loop/world.h"

namespace shadow {

// The level of an event's line in the log.
enum class LogLevel {
  kDebug,    // A step on the way.
  kInfo,     // What somebody asked for, or the daemon decided, and what came of it.
  kWarning,  // What somebody may have to look at.
};

// First `batch` must be durable, then the effects run and the reply is sent.
struct Ready {
  v1::WriteBatch batch;
  std::vector<LogLevel> log_levels;  // Of the batch's events, in their order.
  std::vector<Effect> effects;
  std::vector<std::string> gone_pools;  // Full names: what is kept of them elsewhere goes.
  // Ids of earlier effects whose result is no longer wanted. They may end early; a result is due of
  // each all the same.
  std::vector<uint64_t> cancelled;
};

// Control thread only; `world` must outlive it. Every change of the world that is to be kept is
// told here.
class Changes {
 public:
  Changes(World& world, Instant now, std::string request_id = "")
      : world_(world), now_(now), request_id_(std::move(request_id)) {}

  World& world() { return world_; }
  const Instant& now() const { return now_; }

  // Keep the resource as it is when the input has been handled, and tell watchers now.
  void Put(const v1::Dna& dna, v1::Event::Kind kind, std::string_view message);
  void Put(PoolEntry& pool, v1::Event::Kind kind, std::string_view message,
           LogLevel level = LogLevel::kInfo);
  void Put(PoolEntry& pool, ShadowEntry& shadow, v1::Event::Kind kind, std::string_view message,
           LogLevel level = LogLevel::kInfo);
  // In the log: a warning where it has failed, otherwise a step on the way.
  void Put(PoolEntry& pool, Member& member, v1::Event::Kind kind, std::string_view message);
  // Keep it, without an event: only internal fields changed.
  void Keep(PoolEntry& pool);
  void Keep(PoolEntry& pool, const Member& member);

  // Readers are to see a change of the pool's record that is not kept, e.g. why it has no score.
  // Copies all that they see of the pool, its instances too.
  void Show(const PoolEntry& pool) { world_.changed_pools.insert(pool.id); }

  // Erase the record; the world's entry is the caller's to erase, afterwards.
  void Erase(const v1::Dna& revision);
  void Erase(PoolEntry& pool);
  void Erase(PoolEntry& pool, const ShadowEntry& shadow);
  void Erase(PoolEntry& pool, const Member& member);

  // Gives `decision` its id. An event only where `differs`.
  void Record(PoolEntry& pool, v1::Decision& decision, bool differs);
  void Note(v1::Event::Kind kind, std::string_view name, std::string_view message,
            LogLevel level = LogLevel::kInfo);
  // An event that no request caused, and a warning in the log.
  void Warn(std::string_view name, std::string_view message);

  v1::WriteBatch& batch() { return ready_.batch; }

  // Short names of the pools of which something was put or erased so far.
  PoolIds touched() const;

  // Returns the id that its result will carry.
  uint64_t Run(Effect effect);

  // The result of this one in flight will be dropped: what waits for the world may give up.
  void Cancel(uint64_t effect) { ready_.cancelled.push_back(effect); }

  // Recomputes what follows from the members, and returns it all. Nothing may be called after it.
  Ready Finish(const ParallelFor& parallel_for = OneByOne);

 private:
  v1::Event& AddEvent(v1::Event::Kind kind, std::string_view name, std::string_view message,
                      LogLevel level);
  void Derive(PoolEntry& pool);
  void KeepPools(const ParallelFor& parallel_for);

  World& world_;
  const Instant now_;
  const std::string request_id_;
  Ready ready_;
  bool finished_ = false;
  // By short name, in whose order all is written.
  using Pools = absl::btree_map<std::string, PoolEntry*>;
  Pools pools_;  // Touched: derived fields may have changed.
  Pools kept_pools_;
  std::set<std::pair<std::string, std::string>> kept_shadows_;
  std::set<std::pair<std::string, std::string>> kept_members_;
};

// Sets the output-only fields that follow from target and members: state, counts, reconciling.
void DeriveShadow(const PoolEntry& pool, ShadowEntry& shadow);
void DerivePool(PoolEntry& pool);

}  // namespace shadow
