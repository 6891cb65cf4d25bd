// The documents of -f FILE.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "client/input/manifest.h"
#include "client/session.h"

namespace shadow {

// Read and parsed as a whole, so that a mistake in the last one changes nothing. Errors as
// ReadInput and ParseManifests.
absl::StatusOr<std::vector<Manifest>> ReadManifests(Session& session, ManifestKind kind);

// The `index`-th of `count` requests that share one --request-id: each needs an id of its own.
template <typename Request>
void PrepareOneOf(const Session& session, std::size_t index, std::size_t count, Request& request) {
  session.Prepare(request);
  if (count > 1 && !request.request_id().empty()) {
    request.set_request_id(request.request_id() + "-" + std::to_string(index + 1));
  }
}

// A time that says no zone is UTC, which is right for `pool` if that is its own zone.
// kInvalidArgument for `field`, e.g. "d.csv: line 3": it has another one. Otherwise as GetPool.
absl::Status CheckZonelessTime(Session& session, const std::string& pool, const std::string& field);

// " (dry run: nothing was changed)" with --dry-run, else empty.
std::string DryRunNote(const Session& session);

}  // namespace shadow
