#include "client/input/mistakes.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/text.h"

namespace shadow {
namespace {

// The command that the line has come to, and its words: "shadowctl pool".
struct Reached {
  const CLI::App* app;
  std::string path;
};

Reached ReachedOf(const CLI::App& root) {
  Reached reached{.app = &root, .path = "shadowctl"};
  while (!reached.app->get_subcommands().empty()) {
    reached.app = reached.app->get_subcommands().front();
    absl::StrAppend(&reached.path, " ", reached.app->get_name());
  }
  return reached;
}

std::string Question(const std::string& closest) {
  return closest.empty() ? "" : absl::StrCat("; did you mean \"", closest, "\"?");
}

// What stands where a command is wanted; empty: something else is wrong.
std::string UnknownCommand(const CLI::App& root, const Reached& reached) {
  if (reached.app->get_require_subcommand_min() == 0) return "";
  const std::vector<std::string> rest = root.remaining(true);
  const auto word = std::find_if(rest.begin(), rest.end(), [](const std::string& text) {
    return !text.empty() && text.front() != '-';
  });
  if (word == rest.end()) return "";
  std::vector<std::string> names;
  for (const CLI::App* command :
       reached.app->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return absl::StrCat("\"", PrintableText(*word), "\" is not a command of `", reached.path,
                      "`; wanted one of ", absl::StrJoin(names, ", "),
                      Question(Closest(*word, names)));
}

// The long flag that an unknown one is a slip of, as a question; empty: there is none.
std::string FlagHint(const CLI::App& root, const Reached& reached) {
  const std::vector<std::string> rest = root.remaining(true);
  const auto flag = std::find_if(rest.begin(), rest.end(), [](const std::string& text) {
    return text.size() > 2 && text.starts_with("--");
  });
  if (flag == rest.end()) return "";
  std::vector<std::string> known;
  for (const CLI::App* app = reached.app; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options([](const CLI::Option*) { return true; })) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  }
  return Question(Closest(flag->substr(0, flag->find('=')), known));
}

}  // namespace

std::string ParseMistake(const CLI::App& root, const CLI::ParseError& error) {
  const Reached reached = ReachedOf(root);
  const std::string unknown = UnknownCommand(root, reached);
  if (!unknown.empty()) return unknown;
  return absl::StrCat(error.what(), FlagHint(root, reached));
}

}  // namespace shadow
