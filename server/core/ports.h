// The seams: everything the core wants done in the world. Real adapters live in server/providers,
// server/balancers and server/usage; each seam has one fake in tests/ and one conformance suite.
//
// All methods are called on threads of lanes, never on the control thread, and for different
// instances at the same time; for one instance one call at a time. Each returns within 2 s (but
// Prober's: within the DNA's timeout for it). One that has not returned 8 s later is given up on:
// its result is dropped, and until it returns no further call comes for the same instance.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/spec.h"

namespace shadow {

// One instance as providers are told of it. `id` is unique in the store, `[a-z0-9]{1,32}`, and
// never used again.
struct InstanceSpec {
  std::string id;
  std::string name;                        // Resource name.
  std::string pool;                        // Short: "web".
  std::string shadow;                      // Short; empty for BASE.
  std::shared_ptr<const CompiledDna> dna;  // Shared by all instances of one revision.
};

enum class Life { kAbsent, kStarting, kRunning, kSuspended, kStopping, kExited };

// The memory of a suspended instance, before and after it was reclaimed.
struct ReclaimedMemory {
  int64_t before_bytes = 0;
  int64_t after_bytes = 0;
  bool swap = false;  // Swap had room, so what no file holds could be reclaimed.
  bool operator==(const ReclaimedMemory&) const = default;
};

struct Observation {
  std::string id;
  // Of the store that has made it (StoreContents); empty: it does not say, or it is absent.
  std::string epoch;
  Life life = Life::kAbsent;
  std::string address;      // "127.0.0.1:20001", once it is known.
  std::string handle;       // "pid 4711"
  std::string exit_reason;  // kExited: for people, e.g. "exit status 3; last output: ...".
  // Controllers of the kernel that are missing where it runs, e.g. "memory": limits that need them
  // are not enforced. "resize": a cluster that cannot resize pods, so a suspended one keeps its
  // CPU. Unset: the provider does not say.
  std::optional<std::vector<std::string>> missing_controllers = {};
  // kSuspended. Unset: not yet, not known any more, or the provider does not reclaim memory.
  std::optional<ReclaimedMemory> reclaimed = {};
};

// It has ended, or nothing of it is left.
inline bool IsDead(const Observation& seen) {
  return seen.life == Life::kExited || seen.life == Life::kAbsent;
}

// Which part of what an instance has written to its standard output and error.
struct LogRequest {
  bool previous = false;  // Of the instance of its base or shadow pool that ended last.
  // `next_offset` of the piece before. Unset: the last `bytes_max`.
  std::optional<int64_t> offset = std::nullopt;
  size_t bytes_max = 0;
};

struct LogPiece {
  std::string id;    // Of the instance that wrote it.
  std::string data;  // Empty: nothing more now.
  int64_t next_offset = 0;
  bool gap = false;    // Something between `offset` and `data` is missing.
  bool ended = false;  // It has ended: nothing comes after `data` but what is left of it.
};

// One operation on one instance.
struct InstanceOp {
  enum class Kind {
    // Begins to start it; get-or-create by id. kFailedPrecondition, kInvalidArgument: as
    // Provider::Supports.
    kCreate,
    // All its processes stop running; memory stays. kNotFound: it is gone.
    kSuspend,
    // The signal of the DNA's resume hook follows, if the instance was suspended. kNotFound: as
    // above.
    kResume,
    // Begins or continues to end it; Inspect says kAbsent when nothing of it is left. kDestroy: the
    // stop signal (also to a suspended one, which is resumed for it), kKill: everything by force.
    // Of such an instance the id may be all that is known.
    kDestroy,
    kKill,
  };
  Kind kind = Kind::kCreate;
  InstanceSpec instance;
};

class Provider {
 public:
  // Of a DNA, for Verify.
  enum class Part { kEverything, kConnections };
  // One sentence for each field in which an instance differs from its DNA: the field, what was
  // wanted and what was found, in printable ASCII and without secrets.
  using Differences = std::vector<std::string>;

  virtual ~Provider() = default;

  // Called at most once, by whoever made it, before all other calls. From then on, until it is
  // destroyed, the provider may call `on_change` on any thread, at any time, to say that the
  // instance `id` may have changed. That is a hint to look again, of which nothing is believed: one
  // may be missing, come too often, or name nobody. A provider that never gives one does all that
  // is asked of it.
  virtual void Listen(const std::function<void(std::string_view id)>& /*on_change*/) {}

  // OK if every field of the DNA can be enforced here. kFailedPrecondition: a FieldError that names
  // the first one that cannot, e.g. "dna.resources.cpu_millis: the process provider cannot limit
  // ...". kInvalidArgument: the same, of a value that has no meaning here, e.g. of no signal's
  // name.
  virtual absl::Status Supports(const CompiledDna& dna) = 0;

  // One status for each operation, in their order. All are idempotent, and one that fails keeps no
  // other from being done. kResourceExhausted: there is no room for it now (a port, a quota); it is
  // asked for again later, and the instance has not failed. They are of different
  // instances; the daemon has ProviderTraits::operations_per_call at most in one call.
  virtual std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) = 0;

  // Never an error for an instance that is gone: that is kAbsent, or kExited while its remains (the
  // exit reason, files) are kept; kDestroy removes them.
  virtual absl::StatusOr<Observation> Inspect(const InstanceSpec& instance) = 0;

  // Compares what runs with its DNA. Unset: that is still being found out, ask again; kConnections
  // are known at once. Nothing counts that was found out before the last kSuspend. kNotFound: it
  // does not run.
  virtual absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& instance,
                                                            Part part) = 0;

  // Every instance that carries this store's tag, also after a crash; complete or an error.
  virtual absl::StatusOr<std::vector<Observation>> List() = 0;

  // Called on any thread, beside other calls; waits for nobody. Of one that has ended, its id, pool
  // and shadow may be all that is known. kNotFound: not kept. kUnimplemented: who else can read it.
  virtual absl::StatusOr<LogPiece> ReadLog(const InstanceSpec& instance, const LogRequest& request);

  // Apply of one operation.
  absl::Status ApplyOne(InstanceOp::Kind kind, const InstanceSpec& instance);
};

// The share of traffic of one instance at a balancer.
struct Assignment {
  std::string id;  // Of the instance.
  std::string address;
  // Of a full weight. 0, and not draining: its ready check has just passed, and it gets no traffic
  // until it is given a weight.
  int weight_percent = 0;
  // No new traffic, what is in flight goes on. Is not brought in for it.
  bool draining = false;
};

struct BalancerMember {
  std::string id;  // As the last Assign named it; empty: it named no such address.
  std::string address;
  int weight_percent = 0;  // Of a full weight; 0 while draining or not yet serving.
  bool healthy = false;    // By the balancer's own checks.
  bool draining = false;
  // Unset, each: the balancer cannot tell.
  std::optional<int64_t> in_flight;  // Requests or connections being served or queued for it.
  std::optional<int64_t> requests;   // Since it was brought in.
  std::optional<int64_t> errors;  // Since then: 5xx, broken or refused connections, retries away.
  std::optional<double> response_time_ms;  // Mean since then; unset: too few requests to say.
};

struct BalancerView {
  std::vector<BalancerMember> members;      // Only those that Assign brought in.
  std::optional<int> slots;                 // For members, full and free; unset: not known.
  std::optional<double> errors_per_second;  // Of the whole backend; unset: not known yet.
  std::optional<double> queued_requests;
  std::optional<double> response_time_ms;  // Mean of the backend.
};

struct AssignResult {
  // Of each assignment, in their order. kResourceExhausted: no free slot. kUnavailable: it is not
  // healthy by the balancer's checks, so it has no weight yet; try again.
  std::vector<absl::Status> assigned;
  // Members that are still there although no assignment names them, by address, and why: try again.
  std::map<std::string, absl::Status> left;
};

// Never sends traffic to who was not assigned a weight, nor before a first passed health check.
// Assign and View may be called at the same time, but no two of one of them.
class Balancer {
 public:
  virtual ~Balancer() = default;

  // The neighbour's name, which people read too, e.g. its socket's path. Calls to one peer share a
  // lane: if it hangs, that holds up its pools alone.
  virtual std::string peer() const = 0;

  // The whole truth of a pool. Adds missing members, sets each weight or drains, and removes every
  // member that is not named: no request reaches it afterwards, and its idle kept-alive connections
  // are closed. Idempotent; members that are right already are left alone. An error: the state of
  // all members is unknown.
  virtual absl::StatusOr<AssignResult> Assign(std::span<const Assignment> assignments) = 0;

  virtual absl::StatusOr<BalancerView> View() = 0;
};

struct UsageReading {
  std::vector<shadow::v1::Sample> samples;  // After `since`, ascending; may be empty: nothing new.
};

class UsageSource {
 public:
  virtual ~UsageSource() = default;

  virtual std::string peer() const = 0;  // As Balancer::peer.

  // Samples after `since`, in the pool's demand unit. An error or an empty reading where nothing is
  // known: never a made-up zero.
  virtual absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) = 0;
};

// Both return kCancelled within about a second of `stop`; kResourceExhausted: no socket to ask by.
class Prober {
 public:
  virtual ~Prober() = default;

  // One try of the DNA's ready check; unset: TCP. kUnavailable: not ready, why, try again.
  virtual absl::Status Check(const CompiledDna& dna, const std::string& address,
                             const std::stop_token& stop) = 0;

  // The request of the DNA's resume hook, repeated until it is answered well or the hook's timeout
  // is over. Then the DNA's warm-up requests, repeated until so many have passed in a row or its
  // timeout is over: what an instance pooled may have been closed while it was suspended, and its
  // first request then fails. The error is the last failure. kFailedPrecondition: answered, but not
  // as expected, or passed, but too slowly. kUnavailable or kDeadlineExceeded: not answered.
  virtual absl::Status WarmUp(const CompiledDna& dna, const std::string& address,
                              const std::stop_token& stop) = 0;
};

}  // namespace shadow
