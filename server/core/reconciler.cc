#include "server/core/reconciler.h"

#include <algorithm>
#include <iterator>

#include "server/core/check.h"

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;

// How near it is to serving, by state; members that do not count are 0.
constexpr int kNearness[] = {
    0,  // STATE_UNSPECIFIED
    1,  // CREATING
    2,  // VERIFYING
    3,  // SUSPENDING
    4,  // SUSPENDED
    6,  // RESUMING
    7,  // WARMING
    8,  // ACTIVE
    5,  // DRAINING
    0,  // FAILED
    0,  // DELETING
};
static_assert(std::size(kNearness) == I::State_ARRAYSIZE);

int Nearness(InstanceState state) { return I::State_IsValid(state) ? kNearness[state] : 0; }

bool Nearer(const MemberView* a, const MemberView* b) {
  const int nearness_a = Nearness(a->state);
  const int nearness_b = Nearness(b->state);
  return nearness_a != nearness_b ? nearness_a > nearness_b : a->order < b->order;
}

}  // namespace

Reconciliation Reconcile(const GroupTarget& target, const std::vector<MemberView>& members) {
  CHECK(target.active >= 0 && target.active <= target.instances);
  Reconciliation result;
  const auto want = [&result](const MemberView& member, R::Want wanted) {
    if (member.want != wanted) result.wants.emplace_back(member.id, wanted);
  };

  std::vector<const MemberView*> current;
  std::vector<const MemberView*> outdated;
  current.reserve(members.size());
  int serving = 0;
  int ready = 0;  // To serve, or to be woken.
  for (const MemberView& member : members) {
    if (member.state == I::FAILED && member.expired) want(member, R::WANT_GONE);
    if (Nearness(member.state) == 0 || member.want == R::WANT_GONE) continue;
    if (member.cordoned) {
      want(member, member.outdated ? R::WANT_GONE : R::WANT_CORDONED);
      continue;
    }
    (member.outdated ? outdated : current).push_back(&member);
    if (member.outdated) continue;
    serving += member.state == I::ACTIVE;
    ready += member.state == I::ACTIVE || member.state == I::SUSPENDED;
  }
  std::sort(current.begin(), current.end(), Nearer);
  std::sort(outdated.begin(), outdated.end(), Nearer);

  for (size_t i = 0; i < current.size(); ++i) {
    const int rank = static_cast<int>(i);
    if (rank >= target.instances) {
      want(*current[i], R::WANT_GONE);
    } else {
      want(*current[i], rank < target.active ? R::WANT_ACTIVE : R::WANT_SUSPENDED);
    }
  }
  const int stand_ins = std::max(0, target.active - serving - target.yields);
  int places = std::max(0, target.instances - ready);  // That no current one has taken yet.
  for (size_t i = 0; i < outdated.size(); ++i) {
    const InstanceState state = outdated[i]->state;
    const bool serves = static_cast<int>(i) < stand_ins && state == I::ACTIVE;
    const bool rests = state == I::SUSPENDED && places > 0;
    places -= serves || rests;
    want(*outdated[i], serves ? R::WANT_ACTIVE : rests ? R::WANT_SUSPENDED : R::WANT_GONE);
  }
  result.creates = std::clamp(target.instances - static_cast<int>(current.size()), 0,
                              std::max(0, target.creates_max));
  return result;
}

}  // namespace shadow
