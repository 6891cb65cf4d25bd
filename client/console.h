// What shadowctl has of the process around it: streams, clock, terminal. Tests hand in their own.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string>

#include "absl/time/time.h"

namespace shadow {

// One thread. The streams must outlive this.
struct Console {
  std::istream& in;
  std::ostream& out;  // Data only.
  std::ostream& err;  // Messages and progress.
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;                   // Of `out`: a terminal, no NO_COLOR, TERM not dumb.
  int columns = 80;                      // Width of the terminal.
  std::string address_from_environment;  // $SHADOWD_ADDRESS, or empty.
  std::function<absl::Time()> now;
  std::function<void(absl::Duration)> sleep;
};

// The process's own: standard streams, environment, system clock. The only place of shadowctl that
// reads the time, sleeps or looks at the environment.
Console ProcessConsole();

}  // namespace shadow
