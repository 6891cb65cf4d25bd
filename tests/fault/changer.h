// A thread that makes changes of one kind.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/fault/changes.h"

namespace shadow {

// Until the daemon is gone or this ends. `changes` and `daemon` must outlive it.
class Changer {
 public:
  Changer(Changes& changes, DaemonProcess& daemon, std::chrono::milliseconds pause)
      : thread_([this, &changes, &daemon, pause] {
          while (changes.Change(daemon) && Wait(pause)) {
          }
        }) {}
  Changer(const Changer&) = delete;
  Changer& operator=(const Changer&) = delete;
  ~Changer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    thread_.join();
  }

 private:
  // False: it is to stop.
  bool Wait(std::chrono::milliseconds pause) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, pause, [this] { return stopping_; });
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace shadow
