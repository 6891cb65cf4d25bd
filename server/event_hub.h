// The newest events, for watchers; fed with what is durable, in order.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shadow/v1/event.pb.h"

namespace shadow {

// Whether `name` is the resource `prefix` or below it; an empty prefix takes all.
bool Concerns(const std::string& name, const std::string& prefix);

// An event as it goes to watchers: all of them send the same bytes.
struct SharedEvent {
  explicit SharedEvent(const v1::Event& event)
      : revision(event.revision()), name(event.name()), bytes(event.SerializeAsString()) {}

  const int64_t revision;
  const std::string name;
  const std::string bytes;  // Of the v1::Event.
};

// Thread-safe.
class EventHub {
 public:
  static constexpr size_t kEventsMax = 8192;  // Older ones are only in the store.

  struct Page {
    std::vector<std::shared_ptr<const SharedEvent>> events;
    int64_t last_revision = 0;  // Everything up to it has been looked at.
    bool gap = false;  // Events after the asked revision are no longer here: read the store.
  };

  // Everything up to `revision` is in the store only.
  explicit EventHub(int64_t revision) : last_revision_(revision), dropped_revision_(revision) {}

  void Publish(const std::vector<v1::Event>& events);

  // At most `limit` events after `revision` that concern `prefix`; none after those that have
  // `bytes_max` or more.
  Page After(int64_t revision, const std::string& prefix, size_t limit,
             size_t bytes_max = std::numeric_limits<size_t>::max()) const;

  int64_t last_revision() const;
  // Of the newest event that is only in the store; 0: none was ever dropped.
  int64_t dropped_revision() const;

  // Wakes all watchers, who find it closed.
  void Close();
  bool closed() const;

  // `wake` is called after each Publish, on its thread; it is quick and never (un)subscribes.
  int64_t Subscribe(std::function<void()> wake);
  // After it returns `wake` is not running and never will be.
  void Unsubscribe(int64_t id);
  size_t watchers() const;

 private:
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const SharedEvent>> events_;
  int64_t last_revision_;
  int64_t dropped_revision_;  // Of the newest event that is not here any more.
  bool closed_ = false;

  mutable std::mutex wakes_mutex_;
  std::map<int64_t, std::function<void()>> wakes_;
  int64_t next_wake_ = 0;
};

}  // namespace shadow
