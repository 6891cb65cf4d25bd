#include "tests/server/core/scenario/scenario_file.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace shadow {
namespace {

constexpr char kSeparator[] = "----";

bool IsIndented(const std::string& line) { return !line.empty() && line.front() == ' '; }

bool IsBetween(const std::string& line) { return line.empty() || line.front() == '#'; }

}  // namespace

absl::StatusOr<std::vector<ScenarioCommand>> ParseScenario(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  std::vector<ScenarioCommand> commands;
  for (size_t at = 0; at < lines.size();) {
    ScenarioCommand command;
    while (at < lines.size() && IsBetween(lines[at])) {
      absl::StrAppend(&command.before, lines[at++], "\n");
    }
    if (at == lines.size()) return absl::InvalidArgumentError("the file ends without a command");
    command.line = static_cast<int>(at) + 1;
    if (IsIndented(lines[at]) || lines[at] == kSeparator) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", command.line, ": wanted a command, not \"", lines[at], "\""));
    }
    command.words = absl::StrSplit(lines[at], ' ', absl::SkipEmpty());
    absl::StrAppend(&command.source, lines[at++], "\n");
    while (at < lines.size() && IsIndented(lines[at])) {
      absl::StrAppend(&command.body, lines[at], "\n");
      absl::StrAppend(&command.source, lines[at++], "\n");
    }
    if (at == lines.size() || lines[at] != kSeparator) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", at + 1, ": wanted ", kSeparator, " after a command"));
    }
    for (++at; at < lines.size() && !lines[at].empty(); ++at) {
      absl::StrAppend(&command.expected, lines[at], "\n");
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

std::string FormatScenario(const std::vector<ScenarioCommand>& commands) {
  std::string text;
  for (const ScenarioCommand& command : commands) {
    absl::StrAppend(&text, command.before, command.source, kSeparator, "\n", command.expected);
  }
  return text;
}

}  // namespace shadow
