// What systemd is told of the daemon: sd_notify(3).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow {

struct Snapshot;

// "Serving 12 pools, 3 of 9 shadow pools active"
std::string StatusLine(const Snapshot& snapshot);

// Thread-safe. Without NOTIFY_SOCKET it has no thread and tells nobody anything.
class ServiceNotifier {
 public:
  // Between two looks at the status, which is sent only if it has changed.
  static constexpr absl::Duration kStatusInterval = absl::Seconds(5);

  struct Options {
    // Why the daemon is stuck. OK: it is not. The watchdog is fed only then, at half the interval
    // that WATCHDOG_USEC says.
    std::function<absl::Status()> check;
    std::function<std::string()> status;  // One line.
  };

  // `clock` must outlive it. `check` is called on a thread of its own, `status` also by Ready; both
  // must not call this object.
  ServiceNotifier(Options options, Clock& clock);
  ~ServiceNotifier();
  ServiceNotifier(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(const ServiceNotifier&) = delete;

  void Ready();      // At the start, and after each Reloading.
  void Reloading();  // As Type=notify wants it told.
  void Stopping();   // From here on the status is not sent any more. The watchdog still is fed.

 private:
  void Run();
  void FeedIfDue(absl::Duration now);
  void TellStatus();

  const Options options_;
  Clock& clock_;
  absl::Duration feed_interval_ = absl::InfiniteDuration();  // Infinite: there is no watchdog.

  // The thread's own.
  absl::Duration next_feed_;
  bool stuck_ = false;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable ended_;
  bool ending_ = false;
  bool stopping_ = false;
  std::string told_;  // The status.

  std::thread thread_;  // The last member: it uses the others.
};

}  // namespace shadow
