// A Provider in memory: deterministic, steps by being inspected, with public knobs.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/core/error.h"
#include "server/core/ports.h"

namespace shadow {

// One operation each, with any provider.
inline absl::Status Create(Provider& provider, const InstanceSpec& instance) {
  return provider.ApplyOne(InstanceOp::Kind::kCreate, instance);
}
inline absl::Status Suspend(Provider& provider, const InstanceSpec& instance) {
  return provider.ApplyOne(InstanceOp::Kind::kSuspend, instance);
}
inline absl::Status Resume(Provider& provider, const InstanceSpec& instance) {
  return provider.ApplyOne(InstanceOp::Kind::kResume, instance);
}
inline absl::Status Destroy(Provider& provider, const InstanceSpec& instance) {
  return provider.ApplyOne(InstanceOp::Kind::kDestroy, instance);
}
inline absl::Status Kill(Provider& provider, const InstanceSpec& instance) {
  return provider.ApplyOne(InstanceOp::Kind::kKill, instance);
}

// Thread-safe. It outlives a simulated crash of the daemon: hand the same object to the next one.
class FakeProvider final : public Provider {
 public:
  enum class Verb { kSupports, kCreate, kSuspend, kResume, kDestroy, kInspect, kVerify, kList };

  struct Knobs {
    int start_inspections = 0;  // So many Inspects say kStarting first.
    int stop_inspections = 0;  // So many Inspects say kStopping after a graceful Destroy; -1: ever.
    int verify_calls = 0;      // So many Verifies of everything know nothing yet.
    int max_instances = 1000;  // Create fails with kResourceExhausted above it.
    std::string epoch = {};    // Of the store: what is made names it.
    std::optional<std::vector<std::string>> missing_controllers = {};  // Of all instances.
    std::optional<ReclaimedMemory> reclaimed = {};                     // Of each suspended one.
    // In what an instance differs from its DNA; unset: in nothing.
    std::function<Differences(const InstanceSpec&, Part)> differences;
    // A DNA field that this host cannot enforce; empty: all can.
    std::function<absl::Status(const CompiledDna&)> supports;
  };

  FakeProvider() = default;
  explicit FakeProvider(Knobs knobs) : knobs_(std::move(knobs)) {}

  // Changes the knobs for everything from now on.
  void Set(const std::function<void(Knobs&)>& change) {
    const std::lock_guard lock(mutex_);
    change(knobs_);
  }

  // The next `times` calls of `verb` for `id` (empty: for any) fail with `status` and do nothing.
  void Fail(Verb verb, const std::string& id, absl::Status status, int times = 1) {
    const std::lock_guard lock(mutex_);
    failures_.push_back({verb, id, std::move(status), times});
  }

  // As if the instance had ended by itself. Whoever listens is told.
  void Exit(const std::string& id, const std::string& reason) {
    std::function<void(std::string_view)> tell;
    {
      const std::lock_guard lock(mutex_);
      const auto found = instances_.find(id);
      if (found == instances_.end()) return;
      found->second.life = Life::kExited;
      found->second.exit_reason = reason;
      tell = on_change_;
    }
    if (tell) tell(id);
  }

  // As if another run of this store had left it behind, running.
  void AddOrphan(const InstanceSpec& instance) {
    const std::lock_guard lock(mutex_);
    Start(instance);
  }

  // How often `verb` was called, failed calls included.
  int Calls(Verb verb) const {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(verb);
    return found == calls_.end() ? 0 : found->second;
  }

  // How many operations each call of Apply had.
  std::vector<size_t> Applied() const {
    const std::lock_guard lock(mutex_);
    return applied_;
  }

  // The life of each instance that is there; does not step it.
  std::map<std::string, Life> Lives() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, Life> lives;
    for (const auto& [id, entry] : instances_) lives[id] = entry.life;
    return lives;
  }

  // The DNA revision that an instance was started from; empty if it is not there.
  std::string RevisionOf(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = instances_.find(id);
    if (found == instances_.end() || !found->second.spec.dna) return "";
    return found->second.spec.dna->revision_name;
  }

  void Listen(const std::function<void(std::string_view id)>& on_change) override {
    const std::lock_guard lock(mutex_);
    on_change_ = on_change;
  }

  absl::Status Supports(const CompiledDna& dna) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kSupports, ""); !failure.ok()) return failure;
    return knobs_.supports ? knobs_.supports(dna) : absl::OkStatus();
  }

  std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) override {
    const std::lock_guard lock(mutex_);
    applied_.push_back(operations.size());
    std::vector<absl::Status> done;
    for (const InstanceOp& operation : operations) done.push_back(Carry(operation));
    return done;
  }

  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kInspect, instance.id); !failure.ok()) return failure;
    const auto found = instances_.find(instance.id);
    if (found == instances_.end()) return Absent(instance.id);
    Entry& entry = found->second;
    if (entry.life == Life::kStarting && entry.inspections_left-- <= 0) {
      entry.life = Life::kRunning;
    }
    if (entry.life == Life::kStopping && entry.inspections_left >= 0 &&
        entry.inspections_left-- == 0) {
      instances_.erase(found);
      return Absent(instance.id);
    }
    return Observe(entry);
  }

  absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& instance,
                                                    Part part) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kVerify, instance.id); !failure.ok()) return failure;
    const auto found = instances_.find(instance.id);
    const bool alive = found != instances_.end() && (found->second.life == Life::kRunning ||
                                                     found->second.life == Life::kSuspended);
    if (!alive) return Gone(instance.id);
    int& left = found->second.verify_calls_left;
    if (part == Part::kEverything && left-- > 0) return std::nullopt;
    left = knobs_.verify_calls;
    return knobs_.differences ? knobs_.differences(instance, part) : Differences{};
  }

  absl::StatusOr<std::vector<Observation>> List() override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kList, ""); !failure.ok()) return failure;
    std::vector<Observation> all;
    for (const auto& [id, entry] : instances_) all.push_back(Observe(entry));
    return all;
  }

 private:
  struct Entry {
    InstanceSpec spec;
    std::string epoch;
    Life life = Life::kRunning;
    int number = 0;
    int inspections_left = 0;
    int verify_calls_left = 0;
    std::string exit_reason;
  };
  struct Failure {
    Verb verb;
    std::string id;
    absl::Status status;
    int times;
  };

  static absl::Status Gone(const std::string& id) {
    return absl::NotFoundError("instance " + id + " is gone");
  }

  static Observation Absent(const std::string& id) {
    Observation nothing;
    nothing.id = id;
    return nothing;
  }

  Observation Observe(const Entry& entry) const {
    return {.id = entry.spec.id,
            .epoch = entry.epoch,
            .life = entry.life,
            .address = "127.0.0.1:" + std::to_string(20000 + entry.number),
            .handle = "fake " + std::to_string(entry.number),
            .exit_reason = entry.life == Life::kExited ? entry.exit_reason : "",
            .missing_controllers = knobs_.missing_controllers,
            .reclaimed = entry.life == Life::kSuspended ? knobs_.reclaimed : std::nullopt};
  }

  void Start(const InstanceSpec& instance) {
    Entry& entry = instances_[instance.id];
    entry.spec = instance;
    entry.epoch = knobs_.epoch;
    entry.number = next_number_++;
    entry.verify_calls_left = knobs_.verify_calls;
    entry.inspections_left = knobs_.start_inspections;
    entry.life = knobs_.start_inspections > 0 ? Life::kStarting : Life::kRunning;
  }

  // The rest with mutex_.
  absl::Status Carry(const InstanceOp& operation) {
    const InstanceSpec& instance = operation.instance;
    switch (operation.kind) {
      case InstanceOp::Kind::kCreate:
        return Create(instance);
      case InstanceOp::Kind::kSuspend:
        return Change(Verb::kSuspend, instance.id, Life::kSuspended);
      case InstanceOp::Kind::kResume:
        return Change(Verb::kResume, instance.id, Life::kRunning);
      case InstanceOp::Kind::kDestroy:
      case InstanceOp::Kind::kKill:
        return Destroy(instance, operation.kind == InstanceOp::Kind::kKill);
    }
    return absl::InternalError("no such operation");
  }

  absl::Status Create(const InstanceSpec& instance) {
    if (absl::Status failure = Called(Verb::kCreate, instance.id); !failure.ok()) return failure;
    if (instances_.contains(instance.id)) return absl::OkStatus();
    if (knobs_.supports) {
      if (absl::Status refused = knobs_.supports(*instance.dna); !refused.ok()) return refused;
    }
    if (static_cast<int>(instances_.size()) >= knobs_.max_instances) {
      return absl::ResourceExhaustedError("no room for another instance");
    }
    Start(instance);
    return absl::OkStatus();
  }

  absl::Status Destroy(const InstanceSpec& instance, bool force) {
    if (absl::Status failure = Called(Verb::kDestroy, instance.id); !failure.ok()) return failure;
    const auto found = instances_.find(instance.id);
    if (found == instances_.end()) return absl::OkStatus();
    if (force || found->second.life == Life::kExited || knobs_.stop_inspections == 0) {
      instances_.erase(found);
    } else if (found->second.life != Life::kStopping) {
      found->second.life = Life::kStopping;
      found->second.inspections_left = knobs_.stop_inspections;
    }
    return absl::OkStatus();
  }

  absl::Status Change(Verb verb, const std::string& id, Life life) {
    if (absl::Status failure = Called(verb, id); !failure.ok()) return failure;
    const auto found = instances_.find(id);
    if (found == instances_.end() || found->second.life == Life::kExited) return Gone(id);
    if (found->second.life == Life::kStopping) {
      return absl::FailedPreconditionError("instance " + id + " is being destroyed");
    }
    found->second.life = life;
    return absl::OkStatus();
  }

  absl::Status Called(Verb verb, const std::string& id) {
    ++calls_[verb];
    for (Failure& failure : failures_) {
      if (failure.verb != verb || failure.times <= 0) continue;
      if (!failure.id.empty() && failure.id != id) continue;
      --failure.times;
      return failure.status;
    }
    return absl::OkStatus();
  }

  mutable std::mutex mutex_;
  Knobs knobs_;
  std::function<void(std::string_view)> on_change_;
  std::map<std::string, Entry> instances_;
  std::vector<Failure> failures_;
  std::map<Verb, int> calls_;
  std::vector<size_t> applied_;
  int next_number_ = 0;
};

}  // namespace shadow
