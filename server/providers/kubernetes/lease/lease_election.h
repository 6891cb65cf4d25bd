// Who holds a Lease, found out in rounds. No round compares a clock with that of another machine:
// whether a holder is gone follows from how long this process has seen no write of it.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/kubernetes/lease/lease_object.h"

namespace shadow {

// Where the Lease is.
class LeaseSeat {
 public:
  virtual ~LeaseSeat() = default;

  virtual std::string name() const = 0;  // "shop/shadowd"

  // kNotFound: there is none. Of one that is not there, New with its name.
  virtual absl::StatusOr<LeaseObject> Read() = 0;
  virtual LeaseObject Missing() const = 0;

  // Creates the Lease (no version), or replaces the version that it has; what it is then. kAborted:
  // somebody has made, written or removed it meanwhile. Other errors: it may have been written.
  virtual absl::StatusOr<LeaseObject> Write(const LeaseObject& lease) = 0;
};

// One thread. `seat` and `clock` must outlive it.
class LeaseElection {
 public:
  enum class Standing {
    kHeld,     // From `renewed` on.
    kWaiting,  // Another holds it, or may do so.
    kLost,     // This has held it, and another does now: it is no candidate any more.
    kUnknown,  // The API server does not say.
  };
  struct Round {
    Standing standing = Standing::kUnknown;
    // kHeld: monotonic, when the request began that renewed it. Nobody else takes it before
    // `duration` has passed since then.
    absl::Duration renewed = absl::ZeroDuration();
    std::string why = {};  // Otherwise: for people, e.g. "b4711 holds it".
  };

  // `identity` must be of this process alone.
  LeaseElection(LeaseSeat& seat, Clock& clock, std::string identity, absl::Duration duration)
      : seat_(seat), clock_(clock), identity_(std::move(identity)), duration_(duration) {}

  // Takes the Lease, renews it, or looks who holds it.
  Round Next();

  // Lets the next one take it at once. The caller acts no more. An error: it waits for `duration`.
  absl::Status Release();

 private:
  // A write that nobody has followed by another, as far as this has seen.
  struct Seen {
    std::string version;
    absl::Duration since;  // Monotonic.
  };

  Round Judge(const absl::StatusOr<LeaseObject>& read, absl::Duration begun);
  Round Put(const LeaseObject& lease, absl::Duration begun);

  LeaseSeat& seat_;
  Clock& clock_;
  const std::string identity_;
  const absl::Duration duration_;
  std::optional<LeaseObject> mine_;  // As this has written it last.
  bool held_ = false;                // Some round has said kHeld.
  std::optional<Seen> seen_;         // Of another holder.
  // Monotonic. Who makes the Lease does not hold it earlier: it may have been removed from a holder
  // who learns of it later.
  absl::Duration not_before_ = -absl::InfiniteDuration();
};

}  // namespace shadow
