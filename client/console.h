// What shadowctl has of the process around it: streams, clock, terminal. Tests hand in their own.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>

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
  bool utf8 = false;                     // The locale's characters are UTF-8.
  int columns = 80;                      // Width to write in.
  std::string address_from_environment;  // $SHADOWD_ADDRESS, or empty.
  std::string context_from_environment;  // $SHADOWCTL_CONTEXT, or empty.
  std::string contexts_path;             // The file of contexts; empty: there can be none.
  std::function<absl::Time()> now;
  std::function<void(absl::Duration)> sleep;
};

// The process's own: standard streams, environment, system clock. The only place of shadowctl that
// reads the time, sleeps or looks at the environment.
Console ProcessConsole();

// The width to write in: $COLUMNS if it is a positive number, else the terminal's (0: there is
// none), else 80; from 40 to 1000.
int OutputColumns(std::string_view columns_variable, int terminal_columns);

// Whether a locale of this name ("de_DE.UTF-8", "C.utf8", "en_US.utf8@euro") is in UTF-8.
bool IsUtf8Locale(std::string_view locale);

}  // namespace shadow
