// Answers of the live page's feed, each made once for all who ask for it.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

// A body that all who get it share; nullptr: there is nothing of that name.
using FeedBody = std::shared_ptr<const std::string>;
using FeedDone = std::function<void(absl::StatusOr<FeedBody>)>;

// Thread-safe; made as a shared pointer, which what is being made holds. Bounded in what it keeps,
// in how much is made at one time, and in how much is made a second. So those who ask, however
// many, cost no more than these limits.
class FeedCache : public std::enable_shared_from_this<FeedCache> {
 public:
  static constexpr size_t kBytesMax = 16 << 20;
  static constexpr size_t kEntriesMax = 512;
  static constexpr int kMakesMax = 16;            // Under way at one time: some visitors' pages.
  static constexpr int kMakesPerSecondMax = 100;  // Begun.
  static constexpr size_t kWaitersMax = 64;       // For all answers that are being made.

  struct Key {
    std::string name;
    std::shared_ptr<const void> source;  // An answer made from another one is not fresh.
    absl::Duration ttl;                  // How old an answer may be.
    bool cheap = false;                  // Made in less than a millisecond: not limited.
  };
  // Calls its argument once, on any thread.
  using Make = std::function<void(FeedDone)>;

  // `done` with a fresh answer, perhaps within the call; otherwise with what `make` gives, as all
  // others who ask for it meanwhile. kResourceExhausted: too much is made already. Neither an error
  // nor nullptr is kept. `mono`: the monotonic clock.
  void Get(const Key& key, absl::Duration mono, const Make& make, FeedDone done);

  size_t bytes() const;

 private:
  struct Entry {
    FeedBody body;  // nullptr: there is none yet.
    std::shared_ptr<const void> source;
    absl::Duration made;  // When its making began.
    bool making = false;
    bool limited = false;  // While it is being made.
    std::vector<FeedDone> waiting;
  };

  // Of `name`, which is being made. Calls those who wait.
  void Take(const std::string& name, absl::StatusOr<FeedBody> answer);
  bool BeginLocked(absl::Duration mono);
  void TrimLocked(const std::string& kept);

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  size_t bytes_ = 0;
  size_t waiters_ = 0;
  int makes_ = 0;
  std::deque<absl::Duration> begun_;  // Of the last second.
};

}  // namespace shadow
