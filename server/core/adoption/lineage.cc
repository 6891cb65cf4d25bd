#include "server/core/adoption/lineage.h"

#include "server/core/names.h"

namespace shadow {

Lineage LineageOf(const v1::StoreContents& contents) {
  Lineage lineage{.epoch = contents.epoch(), .past = {}};
  for (const v1::PastEpoch& past : contents.past_epochs()) {
    lineage.past[past.epoch()] = past.last_revision();
  }
  return lineage;
}

bool IsForeign(const Lineage& lineage, int64_t revision, const Observation& seen) {
  int64_t known = revision;
  if (!seen.epoch.empty() && seen.epoch != lineage.epoch) {
    const auto past = lineage.past.find(seen.epoch);
    if (past == lineage.past.end()) return true;
    known = past->second;
  }
  return InstanceNumber(seen.id) > known;
}

}  // namespace shadow
