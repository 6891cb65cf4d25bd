// Ctrl-C and its like, as something that every wait of the demonstration looks at.
#pragma once

#include "absl/time/time.h"

namespace shadow::demo {

// Main thread only, made before any other thread: it blocks SIGINT, SIGTERM and SIGHUP in all of
// them.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Waits for `time`; true, and at once, if a signal came now or ever before.
  bool Wait(absl::Duration time);
  bool Requested() { return Wait(absl::ZeroDuration()); }

 private:
  int fd_;
  bool requested_ = false;
};

}  // namespace shadow::demo
