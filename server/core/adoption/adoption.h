// Instances that a newer store than this one made, because it was lost or an older copy was put
// back: which of them this store can take over, and which changes that takes. Pure: no I/O, no
// clock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
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
  // Instances whose number is beyond the store's last revision. Empty: there is nothing to adopt,
  // and the rest is empty too.
  int ahead = 0;
  std::vector<Refusal> refused;
  // The changes to store for the others. Its events begin beyond the highest number of an instance,
  // so no id is given out a second time.
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
// Instances of the store that do not live any more are erased.
Adoption Adopt(const v1::StoreContents& contents, const std::string& provider,
               const std::vector<Survivor>& survivors, const BalancerViews& views, absl::Time now);

// What the store holds once `batch`, of an Adoption, is in it.
void ApplyAdoption(const v1::WriteBatch& batch, v1::StoreContents& contents);

}  // namespace shadow
