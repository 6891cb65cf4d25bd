#include "server/event_hub.h"

#include <algorithm>
#include <utility>

#include "server/core/check.h"

namespace shadow {

bool Concerns(const std::string& name, const std::string& prefix) {
  return prefix.empty() || name == prefix ||
         (name.starts_with(prefix) && name[prefix.size()] == '/');
}

void EventHub::Publish(const std::vector<v1::Event>& events) {
  if (events.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (const v1::Event& event : events) {
      CHECK(event.revision() > last_revision_);
      last_revision_ = event.revision();
      events_.push_back(std::make_shared<const SharedEvent>(event));
    }
    while (events_.size() > kEventsMax) {
      dropped_revision_ = events_.front()->revision;
      events_.pop_front();
    }
  }
  const std::lock_guard lock(wakes_mutex_);
  for (const auto& [id, wake] : wakes_) wake();
}

EventHub::Page EventHub::After(int64_t revision, const std::string& prefix, size_t limit,
                               size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  Page page{.events = {}, .last_revision = std::max(revision, last_revision_)};
  page.gap = revision < dropped_revision_;
  if (page.gap) return page;
  auto event = std::upper_bound(
      events_.begin(), events_.end(), revision,
      [](int64_t wanted, const auto& candidate) { return wanted < candidate->revision; });
  size_t bytes = 0;
  for (; event != events_.end(); ++event) {
    if (!Concerns((*event)->name, prefix)) continue;
    if (page.events.size() == limit || bytes >= bytes_max) {
      page.last_revision = page.events.back()->revision;
      break;
    }
    page.events.push_back(*event);
    bytes += (*event)->bytes.size();
  }
  return page;
}

int64_t EventHub::last_revision() const {
  const std::lock_guard lock(mutex_);
  return last_revision_;
}

int64_t EventHub::dropped_revision() const {
  const std::lock_guard lock(mutex_);
  return dropped_revision_;
}

void EventHub::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  const std::lock_guard lock(wakes_mutex_);
  for (const auto& [id, wake] : wakes_) wake();
}

size_t EventHub::watchers() const {
  const std::lock_guard lock(wakes_mutex_);
  return wakes_.size();
}

bool EventHub::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

int64_t EventHub::Subscribe(std::function<void()> wake) {
  const std::lock_guard lock(wakes_mutex_);
  wakes_.emplace(++next_wake_, std::move(wake));
  return next_wake_;
}

void EventHub::Unsubscribe(int64_t id) {
  const std::lock_guard lock(wakes_mutex_);
  wakes_.erase(id);
}

}  // namespace shadow
