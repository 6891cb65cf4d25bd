// The flags and positionals of each command.
#pragma once

#include <CLI/CLI.hpp>

#include "client/arguments.h"
#include "client/command.h"

namespace shadow {

// For text that goes into a message of the API.
CLI::Validator Utf8();

// Those that `command` takes, into `arguments`.
void AddCommandOptions(CLI::App& app, const Command& command, Arguments& arguments);

}  // namespace shadow
