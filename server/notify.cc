#include "server/notify.h"

#include <pthread.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/status/snapshot.h"
#include "server/log/log.h"

namespace shadow {

std::string StatusLine(const Snapshot& snapshot) {
  size_t shadows = 0;
  size_t active = 0;
  for (const auto& [name, pool] : snapshot.pools) {
    shadows += pool->shadows.size();
    for (const auto& [shadow_name, shadow] : pool->shadows) {
      if (shadow.state() == v1::ShadowPool::ACTIVE) ++active;
    }
  }
  const size_t pools = snapshot.pools.size();
  return absl::StrCat(snapshot.recovered ? "Serving " : "Recovering ", pools,
                      pools == 1 ? " pool, " : " pools, ", active, " of ", shadows,
                      shadows == 1 ? " shadow pool active" : " shadow pools active");
}

ServiceNotifier::ServiceNotifier(Options options, Clock& clock)
    : options_(std::move(options)), clock_(clock) {
  if (getenv("NOTIFY_SOCKET") == nullptr) return;
  uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
    feed_interval_ = absl::Microseconds(watchdog_us) / 2;
  }
  thread_ = std::thread([this] { Run(); });
}

ServiceNotifier::~ServiceNotifier() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ServiceNotifier::Ready() {
  TellStatus();
  sd_notify(0, "READY=1");
}

void ServiceNotifier::Reloading() {
  const int64_t now_us = absl::ToInt64Microseconds(clock_.Now().mono);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, now_us);
}

void ServiceNotifier::Stopping() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  sd_notify(0, "STOPPING=1\nSTATUS=Stopping, instances go on");
}

void ServiceNotifier::Run() {
  pthread_setname_np(pthread_self(), "notify");
  // Twice as often as the watchdog is fed: it does not starve when one look finds the daemon stuck
  // and the next one does not.
  const absl::Duration interval = std::min(kStatusInterval, feed_interval_ / 2);
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const absl::Duration now = clock_.Now().mono;
    FeedIfDue(now);
    TellStatus();
    lock.lock();
    while (!ending_ && clock_.Now().mono < now + interval) {
      clock_.WaitUntil(lock, ended_, now + interval);
    }
  }
}

void ServiceNotifier::FeedIfDue(absl::Duration now) {
  if (feed_interval_ == absl::InfiniteDuration() || now < next_feed_) return;
  const absl::Status check = options_.check();
  const bool was_stuck = std::exchange(stuck_, !check.ok());
  if (stuck_) {
    if (!was_stuck) {
      Log(spdlog::level::critical, {.kind = MessageKind::kStuck},
          absl::StrCat("the watchdog is not fed any more: ", check.ToString()));
    }
    return;
  }
  if (was_stuck) {
    Log(LogLevel::kWarning, {.kind = MessageKind::kNotStuck}, "the watchdog is fed again");
  }
  sd_notify(0, "WATCHDOG=1");
  next_feed_ = now + feed_interval_;
}

void ServiceNotifier::TellStatus() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  std::string line = options_.status();  // Under the lock, so that none overtakes a later one.
  if (line == told_) return;
  told_ = std::move(line);
  sd_notifyf(0, "STATUS=%s", told_.c_str());
}

}  // namespace shadow
