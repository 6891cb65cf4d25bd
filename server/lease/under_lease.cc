#include "server/lease/under_lease.h"

#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/time_proto.h"
#include "server/log/log.h"
#include "server/providers/kubernetes/lease/api_lease_seat.h"
#include "server/providers/kubernetes/lease/lease_fence.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

constexpr int kExitLost = 75;              // EX_TEMPFAIL: another start waits for the Lease.
constexpr unsigned kLastWordsSeconds = 1;  // A log that hangs keeps nobody alive for longer.

// False: told to end.
bool WaitUntold(absl::Duration pause) {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&ends, signal);
  const timespec timeout = absl::ToTimespec(pause);
  return sigtimedwait(&ends, nullptr, &timeout) < 0;
}

// Not by a signal to KeepHouse: an orderly end makes calls.
[[noreturn]] void EndAtOnce(const std::string& why) {
  // A handler, because the first process of a container ignores signals without one.
  std::signal(SIGALRM, [](int) { _exit(kExitLost); });
  alarm(kLastWordsSeconds);
  Log(spdlog::level::critical, {}, absl::StrCat(why, "; shadowd ends at once"));
  spdlog::default_logger()->flush();
  std::_Exit(kExitLost);
}

}  // namespace

absl::Status RunUnderLease(const std::optional<v1::KubernetesLease>& lease, Clock& clock,
                           const std::function<absl::Status(std::function<bool()>)>& run) {
  if (!lease.has_value()) return run(nullptr);
  auto seat = OpenLeaseSeat(*lease, clock);
  if (!seat.ok()) return seat.status();
  const std::string name = (*seat)->name();
  const std::string identity = NewLeaseIdentity();
  auto fence = LeaseFence::Await(
      *std::move(seat),
      {.duration = FromProto(lease->duration()),
       .renew_deadline = FromProto(lease->renew_deadline()),
       .identity = identity,
       .wait = WaitUntold,
       .on_wait =
           [&name](const std::string& why) {
             Log(LogLevel::kInfo, {}, absl::StrCat("waiting for the Lease ", name, ": ", why));
           },
       .on_lost = EndAtOnce},
      clock);
  if (absl::IsCancelled(fence.status())) return absl::OkStatus();
  if (!fence.ok()) return fence.status();
  Log(LogLevel::kInfo, {}, absl::StrCat("holding the Lease ", name, " as ", identity));
  absl::Status status = run([&fence] { return (*fence)->Holds(); });
  if (const absl::Status released = (*fence)->Release(); !released.ok()) {
    Log(LogLevel::kWarning, {},
        absl::StrCat("the Lease ", name,
                     " was not released, the next shadowd waits for it: ", released.message()));
  }
  return status;
}

}  // namespace shadow
