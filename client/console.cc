#include "client/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace shadow {
namespace {

constexpr int kDefaultColumns = 80;
constexpr int kColumnsMin = 40;
constexpr int kColumnsMax = 1000;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

int TerminalColumns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// POSIX: the first of these that is set and not empty rules.
std::string CharacterLocale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string locale = Environment(name);
    if (!locale.empty()) return locale;
  }
  return "C";
}

// As the XDG Base Directory Specification has it.
std::string ContextsPath() {
  const std::string config = Environment("XDG_CONFIG_HOME");
  if (!config.empty()) return config + "/shadowctl.yaml";
  const std::string home = Environment("HOME");
  return home.empty() ? "" : home + "/.config/shadowctl.yaml";
}

}  // namespace

Console ProcessConsole() {
  const bool out_is_terminal = isatty(STDOUT_FILENO) == 1;
  const bool plain = !Environment("NO_COLOR").empty() || Environment("TERM") == "dumb";
  return Console{.in = std::cin,
                 .out = std::cout,
                 .err = std::cerr,
                 .out_is_terminal = out_is_terminal,
                 .err_is_terminal = isatty(STDERR_FILENO) == 1,
                 .colour = out_is_terminal && !plain,
                 .utf8 = IsUtf8Locale(CharacterLocale()),
                 .columns = OutputColumns(Environment("COLUMNS"), TerminalColumns()),
                 .address_from_environment = Environment("SHADOWD_ADDRESS"),
                 .context_from_environment = Environment("SHADOWCTL_CONTEXT"),
                 .contexts_path = ContextsPath(),
                 .now = [] { return absl::Now(); },
                 .sleep = [](absl::Duration duration) { absl::SleepFor(duration); }};
}

int OutputColumns(std::string_view columns_variable, int terminal_columns) {
  int columns = 0;
  const absl::string_view text(columns_variable.data(), columns_variable.size());
  if (!absl::SimpleAtoi(text, &columns) || columns <= 0) columns = terminal_columns;
  if (columns <= 0) columns = kDefaultColumns;
  return std::clamp(columns, kColumnsMin, kColumnsMax);
}

bool IsUtf8Locale(std::string_view locale) {
  const std::size_t dot = locale.find('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view charset = locale.substr(dot + 1, locale.find('@', dot) - dot - 1);
  const absl::string_view name(charset.data(), charset.size());
  return absl::EqualsIgnoreCase(name, "UTF-8") || absl::EqualsIgnoreCase(name, "UTF8");
}

}  // namespace shadow
