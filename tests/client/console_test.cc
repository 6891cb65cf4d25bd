#include "client/console.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

TEST_CASE("the width is that of COLUMNS, else of the terminal, else 80") {
  const struct {
    const char* variable;
    int terminal;
    int columns;
  } table[] = {{"", 0, 80},     {"", 132, 132},    {"100", 132, 100},     {"100", 0, 100},
               {"0", 132, 132}, {"-5", 132, 132},  {"wide", 132, 132},    {"12", 132, 40},
               {"", 20, 40},    {"5000", 0, 1000}, {"99999999999", 0, 80}};
  for (const auto& row : table) {
    INFO(row.variable << " in " << row.terminal);
    CHECK(OutputColumns(row.variable, row.terminal) == row.columns);
  }
}

TEST_CASE("a locale is in UTF-8 if its character set is") {
  for (const char* locale : {"en_GB.UTF-8", "C.UTF-8", "C.utf8", "sr_RS.UTF-8@latin"}) {
    INFO(locale);
    CHECK(IsUtf8Locale(locale));
  }
  for (const char* locale : {"", "C", "POSIX", "de_DE", "de_DE.ISO-8859-1", "de_DE@euro",
                             "de_DE.ISO-8859-15@utf8", "UTF-8"}) {
    INFO(locale);
    CHECK_FALSE(IsUtf8Locale(locale));
  }
}

}  // namespace
}  // namespace shadow
