// shadowctl from its arguments to its exit code.
#pragma once

#include <string>
#include <vector>

#include "client/console.h"

namespace shadow {

// Runs one command. `arguments`: without the program's name. Returns the exit code
// (client/errors.h); an error is one line on `console.err` that begins with "error: ".
int RunShadowctl(std::vector<std::string> arguments, Console& console);

}  // namespace shadow
