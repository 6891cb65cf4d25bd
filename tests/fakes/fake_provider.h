// A Provider in memory: deterministic, steps by being inspected, with public knobs.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/error.h"
#include "server/core/ports.h"
#include "server/core/verify.h"

namespace shadow {

// Facts in which Differences(dna, facts) finds nothing.
inline Facts MatchingFacts(const CompiledDna& compiled) {
  constexpr int64_t kUid = 1000;
  const v1::Dna& dna = compiled.dna;
  Facts facts;
  facts.os_id = dna.operating_system().id();
  facts.os_version_id = dna.operating_system().version_id();
  for (const v1::Software& software : dna.software()) {
    facts.software_output[software.name()] = software.name() + " " + software.version() + "\n";
  }
  for (const v1::DataSet& set : dna.data_sets()) {
    facts.data_sets[set.name()] = {
        .sha256 = set.sha256(), .error = "", .writable = !set.read_only()};
  }
  facts.uid = facts.wanted_uid = kUid;
  for (const std::string& name : dna.security().capabilities()) facts.capabilities.insert(name);
  facts.no_new_privileges = dna.security().no_new_privileges();
  for (const v1::Connection& end : dna.network().connections()) {
    facts.connections.insert(RemoteEnd(end.host(), end.port()));
  }
  const v1::Resources& limits = dna.resources();
  if (limits.has_cpu_millis()) facts.limits["cpu_millis"] = limits.cpu_millis();
  if (limits.has_memory_max_bytes()) facts.limits["memory_max_bytes"] = limits.memory_max_bytes();
  if (limits.has_tasks_max()) facts.limits["tasks_max"] = limits.tasks_max();
  if (limits.has_open_files_max()) facts.limits["open_files_max"] = limits.open_files_max();
  return facts;
}

// Thread-safe. It outlives a simulated crash of the daemon: hand the same object to the next one.
class FakeProvider final : public Provider {
 public:
  enum class Verb { kSupports, kCreate, kSuspend, kResume, kDestroy, kInspect, kList };

  struct Knobs {
    int start_inspections = 0;  // So many Inspects say kStarting first.
    int stop_inspections = 0;  // So many Inspects say kStopping after a graceful Destroy; -1: ever.
    int facts_inspections = 0;  // So many Inspects(kFacts) find the facts not collected yet.
    int max_instances = 1000;   // Create fails with kResourceExhausted above it.
    // Changes the facts of an instance before they are handed out; unset: they match its DNA.
    std::function<void(const InstanceSpec&, Facts&)> facts;
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

  // As if the instance had ended by itself.
  void Exit(const std::string& id, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    const auto found = instances_.find(id);
    if (found == instances_.end()) return;
    found->second.life = Life::kExited;
    found->second.exit_reason = reason;
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

  absl::Status Supports(const CompiledDna& dna) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kSupports, ""); !failure.ok()) return failure;
    return knobs_.supports ? knobs_.supports(dna) : absl::OkStatus();
  }

  absl::Status Create(const InstanceSpec& instance) override {
    const std::lock_guard lock(mutex_);
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

  absl::Status Suspend(const InstanceSpec& instance) override {
    return Change(Verb::kSuspend, instance.id, Life::kSuspended);
  }

  absl::Status Resume(const InstanceSpec& instance) override {
    return Change(Verb::kResume, instance.id, Life::kRunning);
  }

  absl::Status Destroy(const InstanceSpec& instance, Stop stop) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status failure = Called(Verb::kDestroy, instance.id); !failure.ok()) return failure;
    const auto found = instances_.find(instance.id);
    if (found == instances_.end()) return absl::OkStatus();
    if (stop == Stop::kForce || found->second.life == Life::kExited ||
        knobs_.stop_inspections == 0) {
      instances_.erase(found);
    } else if (found->second.life != Life::kStopping) {
      found->second.life = Life::kStopping;
      found->second.inspections_left = knobs_.stop_inspections;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance, Depth depth) override {
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
    Observation seen = Observe(entry);
    const bool alive = entry.life == Life::kRunning || entry.life == Life::kSuspended;
    if (depth == Depth::kFacts && alive && entry.spec.dna && entry.facts_left-- <= 0) {
      seen.facts = FactsOf(entry.spec);
      entry.facts_left = knobs_.facts_inspections;
    }
    if (depth == Depth::kConnections && alive && entry.spec.dna) {
      seen.facts.emplace().connections = FactsOf(entry.spec).connections;
    }
    return seen;
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
    Life life = Life::kRunning;
    int number = 0;
    int inspections_left = 0;
    int facts_left = 0;
    std::string exit_reason;
  };
  Facts FactsOf(const InstanceSpec& instance) const {
    Facts facts = MatchingFacts(*instance.dna);
    if (knobs_.facts) knobs_.facts(instance, facts);
    return facts;
  }

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

  static Observation Observe(const Entry& entry) {
    return {.id = entry.spec.id,
            .life = entry.life,
            .address = "127.0.0.1:" + std::to_string(20000 + entry.number),
            .handle = "fake " + std::to_string(entry.number),
            .exit_reason = entry.life == Life::kExited ? entry.exit_reason : "",
            .facts = std::nullopt};
  }

  void Start(const InstanceSpec& instance) {
    Entry& entry = instances_[instance.id];
    entry.spec = instance;
    entry.number = next_number_++;
    entry.facts_left = knobs_.facts_inspections;
    entry.inspections_left = knobs_.start_inspections;
    entry.life = knobs_.start_inspections > 0 ? Life::kStarting : Life::kRunning;
  }

  absl::Status Change(Verb verb, const std::string& id, Life life) {
    const std::lock_guard lock(mutex_);
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
  std::map<std::string, Entry> instances_;
  std::vector<Failure> failures_;
  std::map<Verb, int> calls_;
  int next_number_ = 0;
};

}  // namespace shadow
