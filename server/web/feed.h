// What the live page asks for: the daemon's state as JSON, and a stream of what has changed. It
// only reads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "server/control_thread.h"
#include "server/web/feed_cache.h"
#include "server/web/feed_messages.h"
#include "storage/store.h"

namespace shadow {

// Thread-safe. What it borrows must outlive it, and whatever it has begun: nothing that Get has not
// answered yet.
class Feed {
 public:
  struct Sources {
    ControlThread& control;
    Store& store;
    Clock& clock;
    absl::Time start_time;  // Of the daemon.
    std::string version;
    // Runs work of some milliseconds, which may wait for the disk, on a thread that has time for
    // it. Whoever is told to end drops it.
    std::function<void(std::function<void()>)> run;
  };
  explicit Feed(Sources sources) : sources_(std::move(sources)) {}

  // The JSON at `target`, a path below "/api/" with its query: "state?limit=100", "pools/ID",
  // "pools/ID/chart", "pools/ID/spark", "pools/ID/log". `done` gets nullptr where there is no such
  // thing, kResourceExhausted where too much is asked, and runs within the call or on another
  // thread.
  void Get(std::string_view target, FeedDone done);

  // Of one connection; not thread-safe.
  class Stream {
   public:
    static constexpr absl::Duration kPause = absl::Milliseconds(250);  // Between two calls of Next.
    static constexpr absl::Duration kAliveInterval = absl::Seconds(10);

    // `feed` must outlive it.
    explicit Stream(const Feed& feed) : feed_(feed) {}

    // The bytes to send now, as text/event-stream: the first message, later what has changed since
    // the last call, or after kAliveInterval that nothing has. Empty: nothing.
    std::string Next();

   private:
    const Feed& feed_;
    std::shared_ptr<const Snapshot> shown_;  // nullptr: the first message is still due.
    absl::Duration spoken_;                  // When it last said something, monotonic.
  };

 private:
  void GetState(std::string_view query, FeedDone done);
  void GetPool(std::string_view id, std::string_view part, FeedDone done);

  const Sources sources_;
  const std::shared_ptr<FeedCache> cache_ = std::make_shared<FeedCache>();
};

}  // namespace shadow
