// The value of -o.
#pragma once

#include <string>

#include "client/arguments.h"

namespace shadow {

// Why `text` is no output format; empty: it is one.
std::string OutputMistake(const std::string& text);

// Sets what `text`, an output format, asks for.
void SetOutput(const std::string& text, Arguments& arguments);

}  // namespace shadow
