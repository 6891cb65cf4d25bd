// What providers are asked about a request before it is posted: whether they can enforce what it
// would have them run. By the snapshot of that moment.
#pragma once

#include "google/protobuf/field_mask.pb.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/status/snapshot.h"
#include "server/workers/dna_checks.h"
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

// Of a resource that no provider could take, or that does not exist, nothing is asked: the control
// loop refuses it.

// Of `dna`, as it would be stored: the providers of all pools that run it. If none does: only what
// has no meaning to the default one is refused, because another kind may enforce what that cannot.
DnaQuestion QuestionOfDna(const Snapshot& snapshot, const v1::Dna& dna);

// Of `pool`, as it would be stored: its provider, for its DNA.
DnaQuestion QuestionOfPool(const Snapshot& snapshot, const v1::Pool& pool);

}  // namespace shadow
