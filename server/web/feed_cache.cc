#include "server/web/feed_cache.h"

#include <utility>

namespace shadow {

void FeedCache::Get(const Key& key, absl::Duration mono, const Make& make, FeedDone done) {
  std::unique_lock lock(mutex_);
  Entry& entry = entries_[key.name];
  const bool fresh =
      entry.body != nullptr && entry.source == key.source && mono - entry.made < key.ttl;
  if (fresh) {
    const FeedBody body = entry.body;
    lock.unlock();
    return done(body);
  }
  const bool refused =
      waiters_ >= kWaitersMax || (!entry.making && !key.cheap && !BeginLocked(mono));
  if (refused) {
    if (entry.body == nullptr && !entry.making) entries_.erase(key.name);
    lock.unlock();
    return done(absl::ResourceExhaustedError("too much is asked of the live page at one time"));
  }
  ++waiters_;
  entry.waiting.push_back(std::move(done));
  if (std::exchange(entry.making, true)) return;
  entry.limited = !key.cheap;
  entry.source = key.source;
  entry.made = mono;
  if (entry.body != nullptr) bytes_ -= entry.body->size();
  entry.body.reset();
  lock.unlock();
  make([self = shared_from_this(), name = key.name](absl::StatusOr<FeedBody> answer) {
    self->Take(name, std::move(answer));
  });
}

size_t FeedCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void FeedCache::Take(const std::string& name, absl::StatusOr<FeedBody> answer) {
  std::vector<FeedDone> waiting;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[name];
    waiting.swap(entry.waiting);
    waiters_ -= waiting.size();
    if (entry.limited) --makes_;
    entry.making = false;
    // What does not exist is not kept: its names are without end.
    if (answer.ok() && *answer != nullptr) {
      entry.body = *answer;
      bytes_ += entry.body->size();
      TrimLocked(name);
    } else {
      entries_.erase(name);
    }
  }
  for (const FeedDone& done : waiting) done(answer);
}

bool FeedCache::BeginLocked(absl::Duration mono) {
  while (!begun_.empty() && mono - begun_.front() >= absl::Seconds(1)) begun_.pop_front();
  if (makes_ >= kMakesMax || begun_.size() >= kMakesPerSecondMax) return false;
  ++makes_;
  begun_.push_back(mono);
  return true;
}

void FeedCache::TrimLocked(const std::string& kept) {
  while (bytes_ > kBytesMax || entries_.size() > kEntriesMax) {
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->second.making || entry->first == kept) continue;
      if (oldest == entries_.end() || entry->second.made < oldest->second.made) oldest = entry;
    }
    if (oldest == entries_.end()) return;
    if (oldest->second.body != nullptr) bytes_ -= oldest->second.body->size();
    entries_.erase(oldest);
  }
}

}  // namespace shadow
