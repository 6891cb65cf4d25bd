#include "client/wait.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/output/conditions.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);

// The one line that shows how far it is. On a terminal it is redrawn and erased at the end.
class ProgressLine {
 public:
  explicit ProgressLine(Console& console) : console_(console) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (console_.err_is_terminal && !last_.empty()) console_.err << "\r\x1b[K" << std::flush;
  }

  void Show(const std::string& text) {
    const std::string line = PrintableText(text);
    if (line == last_) return;
    last_ = line;
    if (console_.err_is_terminal) {
      // Cut by bytes: a line that is a little short redraws well, one that wraps does not.
      const auto width = static_cast<std::size_t>(console_.columns - 1);
      console_.err << "\r\x1b[K" << PrintableText(std::string_view(line).substr(0, width));
    } else {
      console_.err << line << '\n';
    }
    console_.err << std::flush;
  }

 private:
  Console& console_;
  std::string last_;
};

absl::StatusOr<v1::Pool> GetPool(Session& session, const std::string& name) {
  v1::GetPoolRequest request;
  request.set_name(name);
  return session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
}

absl::StatusOr<v1::ShadowPool> GetShadow(Session& session, const std::string& name) {
  v1::GetShadowPoolRequest request;
  request.set_name(name);
  return session.Call(session.shadows(), &v1::ShadowPoolService::Stub::GetShadowPool, request);
}

// What is looked at of a resource's own instances: those that are made for its present DNA.
bool IsOwn(const v1::Pool& pool, const v1::Instance& instance) {
  return instance.role() == v1::Instance::BASE && instance.dna_revision() == pool.dna_revision();
}
bool IsOwn(const v1::ShadowPool& shadow, const v1::Instance& instance) {
  return instance.dna_revision() == shadow.dna_revision();
}

int Serving(const v1::Pool& pool) { return pool.serving_base_instances(); }
int Serving(const v1::ShadowPool& shadow) { return shadow.serving_instances(); }

// A shadow pool says itself why its last one failed.
bool SaysFailure(const v1::Pool& /*pool*/) { return false; }
bool SaysFailure(const v1::ShadowPool& shadow) { return !shadow.failure_reason().empty(); }

// Follows the failed instances of one resource during a wait.
class FailureWatch {
 public:
  // Adds what it finds to `progress` of `resource`.
  template <typename Resource>
  absl::Status Look(Session& session, const Resource& resource, Progress& progress) {
    v1::ListInstancesRequest request;
    request.set_parent(resource.name());
    const auto list =
        session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                          &v1::ListInstancesResponse::mutable_instances, 0);
    if (!list.ok()) return list.status();
    std::vector<const v1::Instance*> failed;
    bool further = Serving(resource) > 0;
    for (const v1::Instance& instance : list->instances()) {
      if (!IsOwn(resource, instance)) continue;
      const v1::Instance::State state = instance.state();
      if (state == v1::Instance::FAILED) failed.push_back(&instance);
      further |= state >= v1::Instance::SUSPENDING && state <= v1::Instance::DRAINING;
    }
    if (!first_seen_) first_seen_ = NamesOf(failed);
    if (failed.empty()) return absl::OkStatus();
    const v1::Instance& newest = **std::max_element(
        failed.begin(), failed.end(), [](const v1::Instance* a, const v1::Instance* b) {
          return FromProto(a->state_time()) < FromProto(b->state_time());
        });
    if (!SaysFailure(resource)) {
      absl::StrAppend(&progress.text, ", ", failed.size(),
                      " failed; last failure: ", std::string(newest.reason()));
    }
    // What failed before the wait may be mended since: one more is needed to tell.
    progress.hopeless =
        !further && failed.size() >= kFailuresMax && !first_seen_->contains(newest.name());
    return absl::OkStatus();
  }

 private:
  static std::set<std::string> NamesOf(const std::vector<const v1::Instance*>& instances) {
    std::set<std::string> names;
    for (const v1::Instance* instance : instances) names.insert(instance->name());
    return names;
  }

  std::optional<std::set<std::string>> first_seen_;  // Those that had failed at the first look.
};

// What keeps all instances of a resource waiting; empty: nothing. A pool's progress has it already.
absl::StatusOr<std::string> HeldUpBy(Session& /*session*/, const v1::Pool& /*pool*/) { return ""; }

absl::StatusOr<std::string> HeldUpBy(Session& session, const v1::ShadowPool& shadow) {
  const absl::StatusOr<v1::Pool> pool =
      GetPool(session, shadow.name().substr(0, shadow.name().find("/shadowPools/")));
  if (absl::IsNotFound(pool.status())) return "";  // Deleted since.
  if (!pool.ok()) return pool.status();
  return UnreachableSuffix(pool->conditions());
}

// Waits until what `get` returns is settled, and returns the last of it.
template <typename Resource>
absl::StatusOr<Resource> WaitFor(Session& session, const std::string& name,
                                 absl::StatusOr<Resource> (*get)(Session&, const std::string&)) {
  Resource last;
  FailureWatch failures;
  const absl::Status waited = WaitUntilSettled(session, [&]() -> absl::StatusOr<Progress> {
    absl::StatusOr<Resource> resource = get(session, name);
    if (!resource.ok()) return resource.status();
    last = *std::move(resource);
    Progress progress = ProgressOf(last);
    if (progress.settled) return progress;
    if (absl::Status looked = failures.Look(session, last, progress); !looked.ok()) return looked;
    const absl::StatusOr<std::string> held_up = HeldUpBy(session, last);
    if (!held_up.ok()) return held_up.status();
    progress.text += *held_up;
    return progress;
  });
  if (!waited.ok()) return waited;
  return last;
}

template <typename Resource>
absl::Status WaitUntilGone(Session& session, const std::string& name,
                           absl::StatusOr<Resource> (*get)(Session&, const std::string&)) {
  return WaitUntilSettled(session, [&]() -> absl::StatusOr<Progress> {
    const absl::StatusOr<Resource> resource = get(session, name);
    if (absl::IsNotFound(resource.status())) return Progress{.settled = true, .text = ""};
    if (!resource.ok()) return resource.status();
    return Progress{.text = ProgressOf(*resource).text};
  });
}

bool IsMoving(v1::ShadowPool::State state) {
  return state == v1::ShadowPool::CREATING || state == v1::ShadowPool::ACTIVATING ||
         state == v1::ShadowPool::DEACTIVATING || state == v1::ShadowPool::DELETING;
}

}  // namespace

Progress ProgressOf(const v1::Pool& pool) {
  std::string text = absl::StrCat(pool.name(), ": ", v1::Pool::State_Name(pool.state()));
  if (pool.base_case() == v1::Pool::kManagedInstances) {
    absl::StrAppend(&text, ", ", pool.serving_base_instances(), " of ", pool.managed_instances(),
                    " base instances serve");
  }
  // Instances that fail are looked at one by one: FailureWatch.
  const v1::Condition* problem = ProblemOf(pool.conditions());
  if (problem != nullptr && problem->reason() != "InstancesFail") {
    text += ProblemSuffix(pool.conditions());
  }
  return {.settled = pool.state() != v1::Pool::DELETING && !pool.reconciling(),
          .text = std::move(text)};
}

Progress ProgressOf(const v1::ShadowPool& shadow) {
  std::string text = absl::StrCat(shadow.name(), ": ", v1::ShadowPool::State_Name(shadow.state()),
                                  ", level ", shadow.target_activation_level(), "% of ",
                                  shadow.target_instances(), ": ", shadow.serving_instances(),
                                  " serve, ", shadow.suspended_instances(), " suspended");
  if (shadow.failed_instances() > 0) {
    absl::StrAppend(&text, ", ", shadow.failed_instances(), " failed");
  }
  if (!shadow.failure_reason().empty()) {
    absl::StrAppend(&text, "; last failure: ", shadow.failure_reason());
  }
  return {.settled = !IsMoving(shadow.state()) && !shadow.reconciling(), .text = std::move(text)};
}

absl::Status WaitUntilSettled(Session& session,
                              const std::function<absl::StatusOr<Progress>()>& look) {
  Console& console = session.console();
  const absl::Time deadline = console.now() + session.wait_timeout();
  ProgressLine line(console);
  while (true) {
    const absl::StatusOr<Progress> progress = look();
    if (!progress.ok()) return progress.status();
    if (progress->settled) return absl::OkStatus();
    line.Show(progress->text);
    if (progress->hopeless) {
      return absl::InternalError(
          absl::StrCat("gave up after ", kFailuresMax,
                       " failed instances; shadowd goes on trying: ", progress->text));
    }
    if (console.now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("still not there after ",
                                                      DurationText(session.wait_timeout()),
                                                      " (--timeout): ", progress->text));
    }
    console.sleep(kPollInterval);
  }
}

absl::StatusOr<v1::Pool> WaitForPool(Session& session, const std::string& name) {
  return WaitFor<v1::Pool>(session, name, GetPool);
}

absl::StatusOr<v1::ShadowPool> WaitForShadow(Session& session, const std::string& name) {
  absl::StatusOr<v1::ShadowPool> shadow = WaitFor<v1::ShadowPool>(session, name, GetShadow);
  if (shadow.ok() && shadow->state() == v1::ShadowPool::FAILED) {
    return absl::InternalError(ProgressOf(*shadow).text);
  }
  return shadow;
}

absl::Status WaitUntilPoolGone(Session& session, const std::string& name) {
  return WaitUntilGone<v1::Pool>(session, name, GetPool);
}

absl::Status WaitUntilShadowGone(Session& session, const std::string& name) {
  return WaitUntilGone<v1::ShadowPool>(session, name, GetShadow);
}

}  // namespace shadow
