#include "client/wait.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

// Waits until what `get` returns is settled, and returns the last of it.
template <typename Resource>
absl::StatusOr<Resource> WaitFor(Session& session, const std::string& name,
                                 absl::StatusOr<Resource> (*get)(Session&, const std::string&)) {
  Resource last;
  const absl::Status waited = WaitUntilSettled(session, [&]() -> absl::StatusOr<Progress> {
    absl::StatusOr<Resource> resource = get(session, name);
    if (!resource.ok()) return resource.status();
    last = *std::move(resource);
    return ProgressOf(last);
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
    return Progress{.settled = false, .text = ProgressOf(*resource).text};
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
    if (console.now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("still not there after ",
                                                      absl::FormatDuration(session.wait_timeout()),
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
