// --wait: until a resource has arrived where a mutation sends it.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/shadow_pool.pb.h"

namespace shadow {

// So many instances in a row that failed, and none that is any further: waiting gives up.
inline constexpr int kFailuresMax = 3;

struct Progress {
  bool settled = false;
  bool hopeless =
      false;         // The daemon goes on, but kFailuresMax have failed, the last one just now.
  std::string text;  // For the progress line.
};

// READY and not reconciling.
Progress ProgressOf(const v1::Pool& pool);
// In a resting state (or FAILED without another attempt under way) and not reconciling.
Progress ProgressOf(const v1::ShadowPool& shadow);

// Calls `look` every 200 ms until it is settled, with a progress line on stderr (one that is
// redrawn on a terminal, otherwise a line for each change). An error of `look` ends it.
// kDeadlineExceeded: session.wait_timeout() is over; kInternal: it is hopeless. Both with the last
// progress in words.
absl::Status WaitUntilSettled(Session& session,
                              const std::function<absl::StatusOr<Progress>()>& look);

// Waits for the named resource and returns it as it is then. The newest failure of one of its
// instances is part of the progress, and so is a provider or balancer that does not answer.
absl::StatusOr<v1::Pool> WaitForPool(Session& session, const std::string& name);
// kInternal too: it settled in FAILED; with its reason.
absl::StatusOr<v1::ShadowPool> WaitForShadow(Session& session, const std::string& name);

// Until Get answers NOT_FOUND.
absl::Status WaitUntilPoolGone(Session& session, const std::string& name);
absl::Status WaitUntilShadowGone(Session& session, const std::string& name);

}  // namespace shadow
