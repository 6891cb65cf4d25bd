#include "server/core/loop/status/rollout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

using I = v1::Instance;

// Of a pool's instances and shadow pools.
struct RevisionCounts {
  int updated = 0;          // Instances of its revision that have not failed.
  int updated_base = 0;     // Of the base, those that serve.
  int others = 0;           // Instances of other revisions that have not failed.
  int others_failed = 0;    // And those that have.
  bool old_shadow = false;  // There is a shadow pool of another revision.
};

RevisionCounts CountRevisions(const PoolEntry& pool) {
  const std::string& revision = pool.record.pool().dna_revision();
  RevisionCounts count;
  for (const auto& [id, member] : pool.members) {
    const I& instance = member.record.instance();
    if (instance.cordoned()) continue;
    const bool failed = instance.state() == I::FAILED;
    if (instance.dna_revision() == revision) {
      count.updated += !failed;
      count.updated_base += member.shadow.empty() && instance.state() == I::ACTIVE;
    } else {
      ++(failed ? count.others_failed : count.others);
    }
  }
  count.old_shadow = std::any_of(pool.shadows.begin(), pool.shadows.end(), [&](const auto& shadow) {
    return shadow.second.record.shadow().dna_revision() != revision;
  });
  return count;
}

void BeginRollout(Changes& changes, PoolEntry& pool, const std::string& revision) {
  const RevisionCounts count = CountRevisions(pool);
  v1::PoolRecord::Rollout& rollout = *pool.record.mutable_rollout();
  const std::string before = rollout.complete() ? "" : rollout.revision();
  const int others = count.others + count.others_failed;
  rollout.set_revision(revision);
  rollout.set_complete(others == 0 && !count.old_shadow);
  if (!rollout.complete()) {
    changes.Put(pool, v1::Event::UPDATED,
                absl::StrCat("rollout of ", revision, " begins: ", others,
                             others == 1 ? " instance runs" : " instances run", " another revision",
                             before.empty() ? "" : "; it replaces that of ", before));
  } else if (!before.empty()) {
    changes.Put(pool, v1::Event::UPDATED, absl::StrCat("rollout of ", before, " is withdrawn"));
  } else {
    changes.Keep(pool);
  }
}

// "; i7 waits: add: no free slot": an instance of the present revision that the balancer has not
// taken yet. Empty: no instance waits.
std::string WaitingText(const PoolEntry& pool) {
  for (const auto& [id, member] : pool.members) {
    const I& instance = member.record.instance();
    if (member.task != InstanceTask::kAdd || member.tries == 0) continue;
    if (instance.dna_revision() != pool.record.pool().dna_revision()) continue;
    return absl::StrCat("; ", id, " waits: ", instance.reason());
  }
  return "";
}

}  // namespace

void NoteRollout(Changes& changes, PoolEntry& pool) {
  const std::string& revision = pool.record.pool().dna_revision();
  const v1::PoolRecord::Rollout& rollout = pool.record.rollout();
  if (rollout.revision() != revision) return BeginRollout(changes, pool, revision);
  if (rollout.complete()) return;
  const RevisionCounts count = CountRevisions(pool);
  if (count.others > 0 || count.old_shadow ||
      count.updated_base < pool.spec->pool.managed_instances()) {
    return;
  }
  pool.record.mutable_rollout()->set_complete(true);
  changes.Put(pool, v1::Event::UPDATED, absl::StrCat("rollout of ", revision, " is complete"));
}

std::optional<std::string> RolloutText(const PoolEntry& pool) {
  const v1::PoolRecord::Rollout& rollout = pool.record.rollout();
  if (rollout.complete() || rollout.revision().empty()) return std::nullopt;
  const RevisionCounts count = CountRevisions(pool);
  return absl::StrCat(count.updated, " of ", count.updated + count.others, " instances run ",
                      rollout.revision(), WaitingText(pool),
                      pool.spec->pool.rollout_paused() ? "; the rollout is paused" : "");
}

}  // namespace shadow
