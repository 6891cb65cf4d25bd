// Pools and DNAs of a registry that is lost, taken back from what was kept beside the records of
// their instances (storage/definitions). Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// Whether this store has never held anything: it is new, or its registry is lost.
bool IsEmpty(const v1::StoreContents& contents);

struct Revival {
  std::vector<v1::Dna> dnas;          // As they were kept.
  std::vector<v1::PoolRecord> pools;  // In OBSERVE, whatever they were in.
  std::vector<std::string> left_out;  // For people: which ones are not taken back, and why.
};

// What a store that IsEmpty can take back. Nothing of `kept` is believed: a DNA must have the
// content that its revision says, and a pool must be as valid as one that is created, and its DNA
// there. A pool comes back in OBSERVE, because what its planner knew and its holds are lost: nobody
// but a person changes the number of its shadow instances until a person has looked at it.
Revival Revive(const v1::Definitions& kept, absl::Time now);

}  // namespace shadow
