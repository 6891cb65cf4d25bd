// Scenario files: commands, each with what is expected of it.
//
//   # A comment.
//   run 12h web        <- a command line: its name and words
//       more of it     <- indented lines belong to it
//   ----
//   what it prints     <- up to an empty line
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace shadow {

struct ScenarioCommand {
  int line = 0;                    // In the file, from 1.
  std::string before = {};         // Comments and empty lines above it, as they stand.
  std::string source = {};         // The command and its indented lines, as they stand.
  std::vector<std::string> words;  // Of the command line; the first is its name.
  std::string body = {};           // The indented lines.
  std::string expected = {};       // Ends with a newline, unless empty.
};

// kInvalidArgument, naming the line: a command without "----", or text that is none of the above.
absl::StatusOr<std::vector<ScenarioCommand>> ParseScenario(const std::string& text);

// The file again, with `expected` as it is now.
std::string FormatScenario(const std::vector<ScenarioCommand>& commands);

}  // namespace shadow
