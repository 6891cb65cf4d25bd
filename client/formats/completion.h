// shadowctl completion: scripts for shells, made from the commands themselves.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace shadow {

// For `shell`: "bash", "zsh" or "fish". It completes the commands and flags of `root`.
std::string CompletionScript(const CLI::App& root, std::string_view shell);

}  // namespace shadow
