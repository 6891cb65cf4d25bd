// What is wrong with a command line that could not be parsed, and what was likely meant.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace shadow {

// In one line without a line end. `root` has tried to parse it and ended with `error`.
std::string ParseMistake(const CLI::App& root, const CLI::ParseError& error);

}  // namespace shadow
