// Whether the daemon's providers can enforce what a request would have them run. The services ask
// before they post the request; on gRPC's threads, with the snapshot of that moment.
#pragma once

#include "absl/status/status.h"
#include "google/protobuf/field_mask.pb.h"
#include "server/adapters.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/status/snapshot.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// What an update would store, as far as the snapshot tells; what the control loop refuses is left
// to it. `current`: nullptr if nothing is stored yet.
template <typename M>
M Merged(const M* current, const M& update, const google::protobuf::FieldMask& mask) {
  if (current == nullptr) return update;
  M merged = *current;
  MergeMasked(update, mask, merged).IgnoreError();
  return merged;
}

// Both return what Provider::Supports does: an error that names the first field that cannot be
// enforced, or has no meaning to the provider. A resource that no provider could take, or
// that does not exist, is left to the control loop, which refuses it.

// Of `dna`, as it would be stored: the providers of all pools that run it. If none does: only what
// has no meaning to the default one is refused, because another kind may enforce what that cannot.
absl::Status CheckDnaSupported(const Adapters& adapters, const Snapshot& snapshot,
                               const v1::Dna& dna);

// Of `pool`, as it would be stored: its provider, for its DNA.
absl::Status CheckPoolSupported(const Adapters& adapters, const Snapshot& snapshot,
                                const v1::Pool& pool);

}  // namespace shadow
