#include "client/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "absl/time/clock.h"

namespace shadow {
namespace {

constexpr int kDefaultColumns = 80;
constexpr int kColumnsMin = 40;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

int TerminalColumns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < kColumnsMin) {
    return kDefaultColumns;
  }
  return size.ws_col;
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
                 .columns = TerminalColumns(),
                 .address_from_environment = Environment("SHADOWD_ADDRESS"),
                 .now = [] { return absl::Now(); },
                 .sleep = [](absl::Duration duration) { absl::SleepFor(duration); }};
}

}  // namespace shadow
