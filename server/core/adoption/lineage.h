// Which registry an instance is of. A registry can be replaced by an older copy, by a copy that has
// gone on elsewhere, or by another one: what it does not know of an instance is no order then.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "server/core/ports.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// The epochs of one store, each as STORE_ID/RANDOM.
struct Lineage {
  std::string epoch;                    // The present one.
  std::map<std::string, int64_t> past;  // Of those it goes on from, the last revision it knows.
};

Lineage LineageOf(const v1::StoreContents& contents);

// Whether a store of `lineage`, whose newest event is `revision`, cannot know what `seen` is: it
// was made in an epoch that the store does not go on from, or after the store's last revision of
// its epoch. One that does not name its epoch, because an older daemon has made it, goes by the
// store's last revision.
bool IsForeign(const Lineage& lineage, int64_t revision, const Observation& seen);

}  // namespace shadow
