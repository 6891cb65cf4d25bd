// From targets to wants: which instances are to serve, rest or go, and how many are to be made.
// Pure; it never decides how much.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/core/lifecycle.h"

namespace shadow {

// One member of a group: the base of a pool, or one shadow pool.
struct MemberView {
  std::string id;
  InstanceState state = v1::Instance::STATE_UNSPECIFIED;
  v1::InstanceRecord::Want want = v1::InstanceRecord::WANT_UNSPECIFIED;
  int64_t order = 0;      // Ascending with its creation.
  bool outdated = false;  // Of another DNA revision than the group's, or to be restarted.
  bool cordoned = false;
  bool expired = false;  // FAILED for long enough to be forgotten.
};

struct GroupTarget {
  int instances = 0;
  int active = 0;       // At most `instances`.
  int creates_max = 0;  // 0 while a back-off lasts.
  int yields = 0;       // Outdated members that go although none has taken their place.
};

struct Reconciliation {
  int creates = 0;
  // Only what differs from the member's present want.
  std::vector<std::pair<std::string, v1::InstanceRecord::Want>> wants;
};

// Members nearest to serving are kept and made to serve first, older before newer. An outdated
// member serves on until a current one has taken its place, or it has to yield, and a suspended one
// rests until then. FAILED and cordoned members count for nothing; a cordoned one stays as it is
// unless it is outdated.
Reconciliation Reconcile(const GroupTarget& target, const std::vector<MemberView>& members);

}  // namespace shadow
