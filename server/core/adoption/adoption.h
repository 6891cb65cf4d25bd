// Instances that this store does not know (lineage.h), because it was lost, or another copy was put
// back: which of them it can take over, and which changes that takes. Pure: no I/O, no clock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/adoption/revival.h"
#include "server/core/ports.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// What the provider noted when it started an instance. Empty: it did not.
struct CreationNote {
  std::string name = {};          // Of the resource.
  std::string dna_revision = {};  // dnas/{dna}@{revision}
  absl::Time create_time = {};
};

struct Survivor {
  Observation seen;
  CreationNote note;
};

// By pool name, of the pools with a balancer.
using BalancerViews = std::map<std::string, BalancerView>;

struct Refusal {
  std::string id;
  std::string why;  // "its pool, pools/web, is not in the store"
};

struct Adoption {
  int foreign = 0;  // IsForeign. 0, and no revival: there is nothing to adopt; the rest is empty.
  std::vector<Refusal> refused;
  // The changes to store for the others. Its events begin beyond the highest number of an instance,
  // so no id is given out a second time. Their epochs count up to that of the last one of each.
  v1::WriteBatch batch;
};

// `survivors`: a complete list of the provider with this key. `views`: of each of its pools that
// has a balancer.
//
// A survivor joins its pool, or its shadow pool, in the state in which it was found: what the
// balancer sends traffic to (without a balancer: what runs) is ACTIVE, what was suspended is
// SUSPENDED, anything else that runs begins again as CREATING and is verified. So are those that
// the store knows, in another state. Nothing is started, stopped or ended by it. A shadow pool that
// the store does not know, or that is too small, is made large enough for its survivors.
//
// One whose id the store knows, but as another instance, is refused. Instances of the store that do
// not live any more are erased.
//
// `revival`: pools and DNAs that the store takes back with them. The base of such a pool is made as
// large as what is adopted of it, so that nothing of it is drained.
Adoption Adopt(const v1::StoreContents& contents, const std::string& provider,
               const std::vector<Survivor>& survivors, const BalancerViews& views, absl::Time now,
               const Revival& revival = {});

// What the store holds once `batch`, of an Adoption, is in it.
void ApplyAdoption(const v1::WriteBatch& batch, v1::StoreContents& contents);

}  // namespace shadow
