// Single instances by hand: restart, cordon, uncordon. They only mark it: Settle does the rest.
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/names.h"

namespace shadow {
namespace {

using I = v1::Instance;

struct FoundInstance {
  PoolEntry* pool;
  Member* member;
};

absl::StatusOr<FoundInstance> FindInstance(World& world, const std::string& name) {
  const auto parsed = ParseInstanceName(name, "name");
  if (!parsed.ok()) return parsed.status();
  const auto pool = world.pools.find(parsed->pool);
  if (pool == world.pools.end()) return PoolNotFound(PoolName(parsed->pool));
  const auto member = pool->second.members.find(parsed->id);
  if (member == pool->second.members.end() || member->second.shadow != parsed->shadow) {
    return InstanceNotFound(name);
  }
  return FoundInstance{&pool->second, &member->second};
}

// One that fails or goes is replaced whatever is asked for.
absl::StatusOr<FoundInstance> FindStaying(World& world, const std::string& name,
                                          std::string_view verb) {
  auto found = FindInstance(world, name);
  if (!found.ok()) return found;
  const v1::InstanceRecord& record = found->member->record;
  const I::State state = record.instance().state();
  const bool leaves = record.want() == v1::InstanceRecord::WANT_GONE;
  if (state != I::FAILED && state != I::DELETING && !leaves) return found;
  return ReasonError(absl::StatusCode::kFailedPrecondition, "INSTANCE_LEAVING",
                     absl::StrCat(name, " is ", I::State_Name(state),
                                  leaves && state != I::DELETING ? " and about to go" : "", "; ",
                                  std::string(verb), " needs one that stays"));
}

Answer Mark(Changes& changes, const FoundInstance& found, bool validate_only,
            void (*mark)(I& instance), std::string_view message) {
  if (validate_only) {
    I preview = found.member->record.instance();
    mark(preview);
    return AnswerWith(std::move(preview));
  }
  mark(*found.member->record.mutable_instance());
  changes.Put(*found.pool, *found.member, v1::Event::UPDATED, message);
  return AnswerWith(found.member->record.instance());
}

}  // namespace

Answer Execute(Changes& changes, const v1::RestartInstanceRequest& request) {
  const auto found = FindStaying(changes.world(), request.name(), "RestartInstance");
  if (!found.ok()) return found.status();
  const I& instance = found->member->record.instance();
  if (instance.restarting()) return AnswerWith(instance);
  return Mark(
      changes, *found, request.validate_only(), [](I& marked) { marked.set_restarting(true); },
      "to be restarted, by hand");
}

Answer Execute(Changes& changes, const v1::CordonInstanceRequest& request) {
  const auto found = FindStaying(changes.world(), request.name(), "CordonInstance");
  if (!found.ok()) return found.status();
  const I& instance = found->member->record.instance();
  if (instance.restarting()) {
    return ReasonError(absl::StatusCode::kFailedPrecondition, "INSTANCE_RESTARTING",
                       absl::StrCat(request.name(),
                                    " is being restarted; CordonInstance needs "
                                    "one that stays"));
  }
  if (instance.cordoned()) return AnswerWith(instance);
  return Mark(
      changes, *found, request.validate_only(), [](I& marked) { marked.set_cordoned(true); },
      "cordoned by hand");
}

Answer Execute(Changes& changes, const v1::UncordonInstanceRequest& request) {
  const auto found = FindInstance(changes.world(), request.name());
  if (!found.ok()) return found.status();
  const v1::InstanceRecord& record = found->member->record;
  if (!record.instance().cordoned()) return AnswerWith(record.instance());
  const auto stays = FindStaying(changes.world(), request.name(), "UncordonInstance");
  if (!stays.ok()) return stays.status();
  return Mark(
      changes, *found, request.validate_only(), [](I& marked) { marked.clear_cordoned(); },
      "uncordoned by hand");
}

}  // namespace shadow
