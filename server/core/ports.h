// The seams: everything the core wants done in the world. Real adapters live in server/providers,
// server/balancers and server/usage; each seam has one fake in tests/ and one conformance suite.
//
// All methods are called on threads of lanes (Provider::Supports also on gRPC's threads), never on
// the control thread, and for different instances at the same time; for one instance one call at a
// time. Each returns within 2 s (but Prober's: within the DNA's timeout for it). One that has not
// returned 8 s later is given up on: its result is dropped, and until it returns no further call
// comes for the same instance.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
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

// What is true of a started instance, to be compared with its DNA (verify.h). A field that the DNA
// does not speak of may be left empty.
struct Facts {
  struct DataSetFact {
    std::string sha256;  // As DataSet.sha256 is defined; or, if unreadable, empty with `error` set.
    std::string error;
    bool writable = false;  // By the instance's user.
  };
  std::string os_id;
  std::string os_version_id;
  std::map<std::string, std::string>
      software_output;  // By Software.name: first 4 KiB, stdout and stderr.
  std::map<std::string, DataSetFact> data_sets;  // By DataSet.name.
  int64_t uid = -1;
  // What Security.user (unset: the daemon's own user) is on the instance's host; -1: no such user.
  int64_t wanted_uid = -1;
  std::set<std::string> capabilities;  // Effective, as "CAP_...".
  bool no_new_privileges = false;
  std::set<std::string>
      writable_paths;                 // Of Security.read_only_paths, those the instance can write.
  std::set<std::string> connections;  // Established, remote ends: "10.0.0.1:5432", "[::1]:5432".
  std::map<std::string, int64_t> limits;  // "memory_max_bytes", "tasks_max", ... as enforced now.
};

enum class Life { kAbsent, kStarting, kRunning, kSuspended, kStopping, kExited };

struct Observation {
  std::string id;
  Life life = Life::kAbsent;
  std::string address;         // "127.0.0.1:20001", once it is known.
  std::string handle;          // "pid 4711"
  std::string exit_reason;     // kExited: for people, e.g. "exit status 3; last output: ...".
  std::optional<Facts> facts;  // Only where asked for and already collected.
};

class Provider {
 public:
  enum class Depth { kLife, kConnections, kFacts };
  enum class Stop { kGraceful, kForce };

  virtual ~Provider() = default;

  // OK if every field of the DNA can be enforced here. kFailedPrecondition: a FieldError that names
  // the first one that cannot, e.g. "dna.resources.cpu_millis: the process provider cannot limit
  // ...".
  virtual absl::Status Supports(const CompiledDna& dna) = 0;

  // Begins to start it; get-or-create by id. kFailedPrecondition: as Supports. kResourceExhausted:
  // no free port or no more processes.
  virtual absl::Status Create(const InstanceSpec& instance) = 0;

  // All its processes stop running; memory stays. kNotFound: it is gone. Idempotent.
  virtual absl::Status Suspend(const InstanceSpec& instance) = 0;
  // The signal of the DNA's resume hook follows, if the instance was suspended.
  virtual absl::Status Resume(const InstanceSpec& instance) = 0;

  // Begins or continues to end it; Inspect says kAbsent when nothing of it is left. kGraceful: the
  // stop signal (also to a suspended one, which is resumed for it), kForce: SIGKILL to everything.
  virtual absl::Status Destroy(const InstanceSpec& instance, Stop stop) = 0;

  // Never an error for an instance that is gone: that is kAbsent, or kExited while its remains (the
  // exit reason, files) are kept; Destroy removes them. kFacts starts to collect what the DNA
  // speaks of and leaves `facts` unset until all is there, so it is to be called again.
  // kConnections: facts of the connections alone, read at once; unset: it does not run.
  virtual absl::StatusOr<Observation> Inspect(const InstanceSpec& instance, Depth depth) = 0;

  // Every instance that carries this store's tag, also after a crash; complete or an error.
  virtual absl::StatusOr<std::vector<Observation>> List() = 0;
};

struct BalancerMember {
  std::string address;
  int weight_percent = 0;  // Of a full weight; 0 while draining or not yet serving.
  bool healthy = false;    // By the balancer's own checks.
  bool draining = false;
  // Unset, each: the balancer cannot tell.
  std::optional<int64_t> in_flight;  // Requests or connections being served or queued for it.
  std::optional<int64_t> requests;   // Since Add.
  std::optional<int64_t> errors;     // Since Add: 5xx, broken or refused connections, retries away.
  std::optional<double> response_time_ms;  // Mean since Add; unset: too few requests to say.
};

struct BalancerView {
  std::string epoch;                        // Changes when the balancer restarted or was reloaded.
  std::vector<BalancerMember> members;      // Only those that Add brought in.
  std::optional<int> slots;                 // For members, full and free; unset: not known.
  std::optional<double> errors_per_second;  // Of the whole backend; unset: not known yet.
  std::optional<double> queued_requests;
  std::optional<double> response_time_ms;  // Mean of the backend.
};

// Members are known by their address. Never sends traffic before the first passed health check: the
// caller adds an instance only after its own ready check passed (core/lifecycle), and weight is 0
// until SetWeight.
class Balancer {
 public:
  virtual ~Balancer() = default;

  // The neighbour's name, which people read too, e.g. its socket's path. Calls to one peer share a
  // lane: if it hangs, that holds up its pools alone.
  virtual std::string peer() const = 0;

  // At weight 0. kResourceExhausted: no free slot. Idempotent.
  virtual absl::Status Add(const std::string& address) = 0;

  // 1 to 100; 100 = a full share. kNotFound: Add first. kUnavailable: not healthy, try again.
  // On a draining member it ends the drain.
  virtual absl::Status SetWeight(const std::string& address, int weight_percent) = 0;

  // No new traffic, what is in flight goes on. OK if it is not there.
  virtual absl::Status Drain(const std::string& address) = 0;

  // Afterwards nothing reaches it: also idle kept-alive connections are closed. OK if it is not
  // there.
  virtual absl::Status Remove(const std::string& address) = 0;

  virtual absl::StatusOr<BalancerView> List() = 0;
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

// Both return kCancelled within about a second of `stop`.
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
