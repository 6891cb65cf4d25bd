#include "server/providers/kubernetes/lease/lease_election.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace shadow {

LeaseElection::Round LeaseElection::Next() {
  const absl::Duration begun = clock_.Now().mono;
  if (mine_.has_value()) {
    const Round renewed = Put(mine_->Renewed(clock_.Now().wall), begun);
    if (renewed.standing != Standing::kWaiting || mine_.has_value()) return renewed;
  }
  return Judge(seat_.Read(), begun);
}

// kWaiting, and nothing is mine any more: somebody else was first.
LeaseElection::Round LeaseElection::Put(const LeaseObject& lease, absl::Duration begun) {
  auto written = seat_.Write(lease);
  if (absl::IsAborted(written.status())) {
    mine_.reset();
    return {.standing = Standing::kWaiting, .why = "another writes it"};
  }
  // It may be ours or not: who reads it next sees.
  if (!written.ok()) {
    mine_.reset();
    return {.standing = Standing::kUnknown, .why = std::string(written.status().message())};
  }
  mine_ = *std::move(written);
  seen_.reset();
  if (begun < not_before_) {
    return {.standing = Standing::kWaiting,
            .why = "it was missing, and who held it before may not know yet"};
  }
  held_ = true;
  return {.standing = Standing::kHeld, .renewed = begun};
}

LeaseElection::Round LeaseElection::Judge(const absl::StatusOr<LeaseObject>& read,
                                          absl::Duration begun) {
  const absl::Duration now = clock_.Now().mono;
  const absl::Time wall = clock_.Now().wall;
  if (absl::IsNotFound(read.status())) {
    not_before_ = begun + duration_;
    return Put(seat_.Missing().TakenBy(identity_, duration_, wall), begun);
  }
  if (!read.ok()) {
    return {.standing = Standing::kUnknown, .why = std::string(read.status().message())};
  }
  const std::string holder = read->holder();
  // A write of ours whose answer was lost.
  if (holder == identity_) return Put(read->Renewed(wall), begun);
  if (!holder.empty()) {
    if (held_) return {.standing = Standing::kLost, .why = absl::StrCat(holder, " has taken it")};
    if (!seen_.has_value() || seen_->version != read->version()) {
      seen_ = Seen{.version = read->version(), .since = now};
    }
    if (now - seen_->since < std::max(duration_, read->duration())) {
      return {.standing = Standing::kWaiting, .why = absl::StrCat(holder, " holds it")};
    }
  }
  return Put(read->TakenBy(identity_, duration_, wall), begun);
}

absl::Status LeaseElection::Release() {
  if (!mine_.has_value()) return absl::OkStatus();
  const LeaseObject released = mine_->Released(clock_.Now().wall);
  mine_.reset();
  return seat_.Write(released).status();
}

}  // namespace shadow
