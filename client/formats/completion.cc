#include "client/formats/completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace shadow {
namespace {

// The words that may follow a command: "pool" and "create get list".
struct Follow {
  std::string command;
  std::string words;
};

std::vector<std::string> FlagsOf(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    for (const std::string& name : option->get_snames()) {
      if (name != "h") flags.push_back("-" + name);
    }
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

void AddFollows(const CLI::App& app, const std::string& command, std::vector<Follow>& follows) {
  std::vector<std::string> words;
  const std::vector<const CLI::App*> inner =
      app.get_subcommands([](const CLI::App*) { return true; });
  words.reserve(inner.size());
  for (const CLI::App* one : inner) words.push_back(one->get_name());
  if (!command.empty()) {
    // Those of the program itself go everywhere; --help is one of them.
    for (const std::string& flag : FlagsOf(app)) {
      if (flag != "--help") words.push_back(flag);
    }
  }
  if (!words.empty()) follows.push_back({command, absl::StrJoin(words, " ")});
  for (const CLI::App* one : inner) {
    AddFollows(*one, absl::StrCat(command, command.empty() ? "" : " ", one->get_name()), follows);
  }
}

constexpr char kBash[] = R"(# Completion of shadowctl for bash: source <(shadowctl completion bash)

# The words that may follow `shadowctl $1`.
_shadowctl_words() {
  case "$1" in
@CASES@  esac
}

_shadowctl() {
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}" command="" i
  COMPREPLY=()
  case "$before" in
    -o | --output)
      mapfile -t COMPREPLY < <(compgen -W "table wide json yaml name jsonpath= csv svg" -- "$word")
      return
      ;;
    --overlap)
      mapfile -t COMPREPLY < <(compgen -W "skip fail" -- "$word")
      return
      ;;
    -f | --file | --csv | --policy | --save | --cert | --key | --ca) return ;;  # Files.
  esac
  # The words of the line that name a command.
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ " $(_shadowctl_words "$command") " == *" ${COMP_WORDS[i]} "* &&
      "${COMP_WORDS[i]}" != -* ]]; then
      command+="${command:+ }${COMP_WORDS[i]}"
    fi
  done
  mapfile -t COMPREPLY < <(compgen -W "$(_shadowctl_words "$command") @FLAGS@" -- "$word")
}

complete -o default -F _shadowctl shadowctl
)";

constexpr char kZsh[] = R"(#compdef shadowctl
# Completion of shadowctl for zsh: source <(shadowctl completion zsh), after compinit

# The words that may follow `shadowctl $1`.
_shadowctl_words() {
  case "$1" in
@CASES@  esac
}

_shadowctl() {
  local command="" i
  case "${words[CURRENT-1]}" in
    -o|--output) compadd -- table wide json yaml name jsonpath= csv svg; return ;;
    --overlap) compadd -- skip fail; return ;;
    -f|--file|--csv|--policy|--save|--cert|--key|--ca) _files; return ;;
  esac
  for ((i = 2; i < CURRENT; i++)); do
    if [[ " $(_shadowctl_words "$command") " == *" ${words[i]} "* && "${words[i]}" != -* ]]; then
      command+="${command:+ }${words[i]}"
    fi
  done
  compadd -- ${=$(_shadowctl_words "$command")} @FLAGS@
}

if [[ "${funcstack[1]}" == _shadowctl ]]; then
  _shadowctl
else
  compdef _shadowctl shadowctl
fi
)";

constexpr char kFish[] = R"(# Completion of shadowctl for fish: shadowctl completion fish | source

# The words that may follow `shadowctl $argv[1]`, one a line.
function __shadowctl_words
    switch "$argv[1]"
@CASES@    end
end

function __shadowctl_complete
    set -l command ''
    for word in (commandline -opc)[2..-1]
        if contains -- $word (__shadowctl_words "$command"); and not string match -q -- '-*' $word
            set command (string trim "$command $word")
        end
    end
    __shadowctl_words "$command"
    string split ' ' -- '@FLAGS@'
end

complete -c shadowctl -f -a '(__shadowctl_complete)'
complete -c shadowctl -s o -l output -x -a 'table wide json yaml name jsonpath= csv svg'
complete -c shadowctl -s f -l file -r -F
for flag in csv policy save cert key ca
    complete -c shadowctl -l $flag -r -F
end
)";

// A branch for each command, of the shells that are like sh, or of fish.
std::string Cases(const std::vector<Follow>& follows, bool fish) {
  std::string cases;
  for (const Follow& follow : follows) {
    if (fish) {
      absl::StrAppend(&cases, "        case '", follow.command,
                      "'\n            string split ' ' -- '", follow.words, "'\n");
    } else {
      absl::StrAppend(&cases, "    \"", follow.command, "\") echo \"", follow.words, "\" ;;\n");
    }
  }
  return cases;
}

}  // namespace

std::string CompletionScript(const CLI::App& root, std::string_view shell) {
  std::vector<Follow> follows;
  AddFollows(root, "", follows);
  const bool fish = shell == "fish";
  const char* script = fish ? kFish : shell == "zsh" ? kZsh : kBash;
  return absl::StrReplaceAll(
      script, {{"@CASES@", Cases(follows, fish)}, {"@FLAGS@", absl::StrJoin(FlagsOf(root), " ")}});
}

}  // namespace shadow
