// Flags that the demonstration's programs have in common.
#pragma once

#include <string>

#include "CLI/CLI.hpp"
#include "absl/time/time.h"

namespace shadow::demo {

// A flag such as `--startup 3s`; CLI11 reports what is not a duration of zero or more.
// `target` must outlive the parsing.
inline CLI::Option* AddDuration(CLI::App& app, const std::string& name, absl::Duration& target,
                                const std::string& description) {
  return app.add_option_function<std::string>(
      name,
      [&target, name](const std::string& text) {
        absl::Duration parsed;
        if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration()) {
          throw CLI::ValidationError(name, "\"" + text + "\" is not a duration such as 3s or 40ms");
        }
        target = parsed;
      },
      description);
}

}  // namespace shadow::demo
