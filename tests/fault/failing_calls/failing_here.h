// Lets system calls of this process fail, which shim.cc is linked into.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>

#include "tests/fault/failing_calls/faults.h"

namespace shadow {

struct RefusedCall {
  const char* what;
  uint64_t calls;
  int error;
};

// Calls fail as long as it lives and is not ended. One at a time.
class FailingHere {
 public:
  // Each `every`-th of them, `refusals_max` in all; 0: without a limit.
  FailingHere(const RefusedCall& refused, int64_t every, int64_t refusals_max)
      : calls_(refused.calls) {
    Faults& faults = FaultsHere();
    faults.error = refused.error;
    faults.every = every;
    faults.refusals_max = refusals_max;
    faults.seen = 0;
    faults.refused = 0;
    faults.calls = calls_;
  }
  ~FailingHere() { FaultsHere().calls = 0; }
  FailingHere(const FailingHere&) = delete;
  FailingHere& operator=(const FailingHere&) = delete;

  // Returns what `look` does, in which no call fails.
  template <typename F>
  auto Truth(F look) {
    FaultsHere().calls = 0;
    auto truth = look();
    FaultsHere().calls = calls_;
    return truth;
  }
  void End() {
    calls_ = 0;
    FaultsHere().calls = 0;
  }
  static int64_t refused() { return FaultsHere().refused; }

 private:
  uint64_t calls_;
};

// Files in a directory; descriptors of this process in /proc/self/fd.
inline size_t EntriesIn(const std::string& directory) {
  const std::filesystem::directory_iterator entries(directory);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}
inline size_t OpenDescriptors() { return EntriesIn("/proc/self/fd"); }

}  // namespace shadow
