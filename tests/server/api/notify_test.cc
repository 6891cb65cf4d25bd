// What systemd is told, and when.
#include "server/notify.h"

#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/core/loop/status/snapshot.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/notify_socket.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

// A notifier on a clock that stands still, of a daemon that is as the test says.
class Notified {
 public:
  explicit Notified(absl::Duration watchdog, absl::Status check = absl::OkStatus())
      : socket(watchdog), check_(std::move(check)) {
    notifier_ = std::make_unique<ServiceNotifier>(
        ServiceNotifier::Options{.check =
                                     [this] {
                                       const std::lock_guard lock(mutex_);
                                       return check_;
                                     },
                                 .status =
                                     [this] {
                                       const std::lock_guard lock(mutex_);
                                       ++looks_;
                                       return status_;
                                     }},
        clock_);
  }

  // The status ends a look, so whatever is sent before it belongs to the same look.
  void Becomes(const absl::Status& check, const std::string& status, absl::Duration after) {
    {
      const std::lock_guard lock(mutex_);
      check_ = check;
      status_ = status;
    }
    clock_.Advance(after);
  }
  int looks() const {
    const std::lock_guard lock(mutex_);
    return looks_;
  }
  ServiceNotifier& notifier() { return *notifier_; }

  const NotifySocket socket;

 private:
  ManualClock clock_;
  mutable std::mutex mutex_;
  absl::Status check_;
  std::string status_ = "a";
  int looks_ = 0;
  std::unique_ptr<ServiceNotifier> notifier_;
};

constexpr absl::Duration kLook = ServiceNotifier::kStatusInterval;

TEST_CASE("the watchdog of a stuck daemon is not fed until it gets on again") {
  const absl::Status stuck = absl::DeadlineExceededError("stuck");
  Notified daemon(absl::Minutes(1), stuck);
  CHECK(daemon.socket.Next() == "STATUS=a");
  daemon.Becomes(stuck, "b", absl::Hours(1));
  CHECK(daemon.socket.Next() == "STATUS=b");
  daemon.Becomes(absl::OkStatus(), "c", kLook);
  CHECK(daemon.socket.Next() == "WATCHDOG=1");
  CHECK(daemon.socket.Next() == "STATUS=c");
}

TEST_CASE("the watchdog is fed at half its interval, if there is one") {
  SECTION("none") {
    Notified daemon(absl::ZeroDuration());
    CHECK(daemon.socket.Next() == "STATUS=a");
    daemon.Becomes(absl::OkStatus(), "b", absl::Hours(1));
    CHECK(daemon.socket.Next() == "STATUS=b");
  }
  SECTION("a minute") {
    Notified daemon(absl::Minutes(1));
    CHECK(daemon.socket.Next() == "WATCHDOG=1");
    CHECK(daemon.socket.Next() == "STATUS=a");
    daemon.Becomes(absl::OkStatus(), "b", absl::Seconds(29));
    CHECK(daemon.socket.Next() == "STATUS=b");
    daemon.Becomes(absl::OkStatus(), "b", kLook);
    CHECK(daemon.socket.Next() == "WATCHDOG=1");
  }
}

TEST_CASE("a status that has not changed, or comes after the end began, is not sent") {
  Notified daemon(absl::ZeroDuration());
  CHECK(daemon.socket.Next() == "STATUS=a");
  daemon.Becomes(absl::OkStatus(), "a", kLook);
  CHECK(PollUntil(kPatience, [&] { return daemon.looks() == 2; }));
  daemon.notifier().Reloading();
  CHECK(daemon.socket.Next().rfind("RELOADING=1\nMONOTONIC_USEC=3605000000", 0) == 0);
  daemon.Becomes(absl::OkStatus(), "b", absl::ZeroDuration());
  daemon.notifier().Ready();
  CHECK(daemon.socket.Next() == "STATUS=b");
  CHECK(daemon.socket.Next() == "READY=1");
  daemon.notifier().Stopping();
  CHECK(daemon.socket.Next() == "STOPPING=1\nSTATUS=Stopping, instances go on");
  daemon.Becomes(absl::OkStatus(), "c", kLook);
  daemon.notifier().Ready();
  CHECK(daemon.socket.Next() == "READY=1");
}

TEST_CASE("the status counts pools, and of their shadow pools the active ones") {
  Snapshot snapshot;
  CHECK(StatusLine(snapshot) == "Recovering 0 pools, 0 of 0 shadow pools active");
  snapshot.recovered = true;
  auto web = std::make_shared<PoolSnapshot>();
  web->shadows["pools/web/shadowPools/a"].set_state(v1::ShadowPool::ACTIVE);
  snapshot.pools.Set("pools/web", web);
  CHECK(StatusLine(snapshot) == "Serving 1 pool, 1 of 1 shadow pool active");
  auto batch = std::make_shared<PoolSnapshot>();
  batch->shadows["pools/batch/shadowPools/b"].set_state(v1::ShadowPool::SUSPENDED);
  snapshot.pools.Set("pools/batch", batch);
  CHECK(StatusLine(snapshot) == "Serving 2 pools, 1 of 2 shadow pools active");
}

}  // namespace
}  // namespace shadow
