// shadowctl in the test's own process.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "client/app.h"
#include "client/console.h"
#include "tests/client/fake_daemon.h"

namespace shadow {

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

struct RunOptions {
  std::string input = {};    // Standard input.
  std::string address = {};  // $SHADOWD_ADDRESS
  std::string context = {};  // $SHADOWCTL_CONTEXT
  std::string contexts_path = {};
  bool terminal = false;
  bool utf8 = true;
  bool colour = false;
};

// The clock stands at 2026-05-01T12:00:00Z and moves by what is slept.
inline Ran RunCommandLine(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::istringstream in(options.input);
  std::ostringstream out;
  std::ostringstream err;
  absl::Time now = absl::FromUnixSeconds(1777636800);
  Console console{.in = in,
                  .out = out,
                  .err = err,
                  .out_is_terminal = options.terminal,
                  .err_is_terminal = options.terminal,
                  .colour = options.colour,
                  .utf8 = options.utf8,
                  .columns = 80,
                  .address_from_environment = options.address,
                  .context_from_environment = options.context,
                  .contexts_path = options.contexts_path,
                  .now = [&now] { return now; },
                  .sleep = [&now](absl::Duration duration) { now += duration; }};
  const int exit_code = RunShadowctl(arguments, console);
  return {.exit_code = exit_code, .out = out.str(), .err = err.str()};
}

inline Ran Run(const FakeDaemon& daemon, const std::vector<std::string>& arguments,
               const std::string& input = "") {
  return RunCommandLine(arguments, {.input = input, .address = daemon.address()});
}

}  // namespace shadow
