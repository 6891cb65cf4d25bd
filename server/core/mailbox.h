// The one way into the control thread. Two queues: commands, which are refused when it is full, and
// events (results of effects), which never are: their number is bounded by the effects in flight.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow {

// Thread-safe; any number of writers, one reader. `clock` must outlive it.
template <typename Command, typename Event>
class Mailbox {
 public:
  struct Contents {
    std::vector<Event> events;
    std::vector<Command> commands;
    bool closed = false;
  };

  Mailbox(size_t commands_max, Clock& clock) : commands_max_(commands_max), clock_(clock) {}

  // kResourceExhausted: full, try again; kUnavailable: closed.
  absl::Status PostCommand(Command command) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return absl::UnavailableError("the daemon is shutting down");
      if (commands_.size() >= commands_max_) {
        return absl::ResourceExhaustedError("too many requests are waiting; try again later");
      }
      commands_.push_back(std::move(command));
    }
    filled_.notify_one();
    return absl::OkStatus();
  }

  void PostEvent(Event event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    filled_.notify_one();
  }

  struct Waiting {
    size_t commands = 0;
    size_t events = 0;
  };
  Waiting waiting() const {
    const std::lock_guard lock(mutex_);
    return {.commands = commands_.size(), .events = events_.size()};
  }

  // No more commands; the reader sees `closed`.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_one();
  }

  // Waits until there is something, it is closed, or `until` on the monotonic clock; takes all
  // there is.
  Contents Take(absl::Duration until) {
    std::unique_lock lock(mutex_);
    while (events_.empty() && commands_.empty() && !closed_ && clock_.Now().mono < until) {
      clock_.WaitUntil(lock, filled_, until);
    }
    Contents contents{.events = {}, .commands = {}, .closed = closed_};
    contents.events.swap(events_);
    contents.commands.swap(commands_);
    return contents;
  }

 private:
  const size_t commands_max_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Event> events_;
  std::vector<Command> commands_;
  bool closed_ = false;
};

}  // namespace shadow
