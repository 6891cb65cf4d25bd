#include "client/import/import_columns.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/import/import_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr std::array kTimeNames = {"time",     "timestamp", "timestamps", "date",
                                   "datetime", "date/time", "ds",         "ts",
                                   "epoch",    "zeit",      "datum",      "zeitstempel"};
constexpr std::array kValueNames = {"value", "y", "demand", "wert"};

std::string Lower(std::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

bool IsTime(const std::string& cell) { return ParseImportedTime(cell, absl::UTCTimeZone()).ok(); }

bool IsNumber(std::string cell) {
  std::replace(cell.begin(), cell.end(), ',', '.');
  double number = 0;
  return absl::SimpleAtod(cell, &number);
}

// The first cell of a column, below the header, that is not missing.
std::optional<std::string> FirstCell(const Rows& rows, std::size_t header_rows,
                                     std::size_t column) {
  for (std::size_t row = header_rows; row < rows.size(); ++row) {
    if (column < rows[row].size() && !IsMissing(rows[row][column])) return rows[row][column];
  }
  return std::nullopt;
}

// By name, or by number from 1.
absl::StatusOr<std::size_t> Named(const ImportColumns& columns, std::size_t width,
                                  const std::string& name, const char* flag) {
  for (std::size_t i = 0; i < columns.header.size(); ++i) {
    if (Lower(columns.header[i]) == Lower(name)) return i;
  }
  std::size_t number = 0;
  if (absl::SimpleAtoi(name, &number) && number >= 1 && number <= width) return number - 1;
  return absl::InvalidArgumentError(absl::StrCat(
      flag, ": there is no column \"", PrintableText(name), "\"; the header is ",
      columns.header.empty() ? "missing" : PrintableText(absl::StrJoin(columns.header, " | "))));
}

template <typename Names>
std::optional<std::size_t> ByKnownName(const ImportColumns& columns, const Names& names,
                                       std::size_t except) {
  for (std::size_t i = 0; i < columns.header.size(); ++i) {
    const std::string name = Lower(columns.header[i]);
    if (i != except && std::find(names.begin(), names.end(), name) != names.end()) return i;
  }
  return std::nullopt;
}

absl::StatusOr<std::size_t> FindTime(const Rows& rows, const ImportColumns& columns,
                                     const ImportOptions& options, std::size_t header_rows) {
  const std::size_t width = rows.front().size();
  if (!options.time_column.empty()) {
    return Named(columns, width, options.time_column, "--time-column");
  }
  if (const auto known = ByKnownName(columns, kTimeNames, width)) return *known;
  for (std::size_t i = 0; i < width; ++i) {
    const auto cell = FirstCell(rows, header_rows, i);
    if (cell && IsTime(*cell)) return i;
  }
  return absl::InvalidArgumentError("no column holds times; name one with --time-column");
}

absl::StatusOr<std::size_t> FindValue(const Rows& rows, const ImportColumns& columns,
                                      const ImportOptions& options, std::size_t header_rows) {
  const std::size_t width = rows.front().size();
  if (!options.value_column.empty()) {
    return Named(columns, width, options.value_column, "--value-column");
  }
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < width; ++i) {
    const auto cell = FirstCell(rows, header_rows, i);
    if (i != columns.time && cell && IsNumber(*cell)) numbers.push_back(i);
  }
  if (numbers.size() == 1) return numbers.front();
  if (const auto known = ByKnownName(columns, kValueNames, columns.time)) return *known;
  if (numbers.empty() && width == 2) return 1 - columns.time;  // Its first cells say what is wrong.
  std::vector<std::string> names;
  names.reserve(numbers.size());
  for (const std::size_t number : numbers) names.push_back(ColumnText(columns, number));
  return absl::InvalidArgumentError(
      numbers.empty() ? std::string("no column holds values; name one with --value-column")
                      : absl::StrCat("values could be in ", absl::StrJoin(names, ", "),
                                     "; name one with --value-column"));
}

}  // namespace

absl::StatusOr<ImportColumns> FindImportColumns(const Rows& rows, const ImportOptions& options) {
  ImportColumns columns;
  if (rows.empty()) return absl::InvalidArgumentError("it is empty; wanted a header and samples");
  const std::vector<std::string>& first = rows.front();
  if (first.size() < 2) {
    return absl::InvalidArgumentError(
        "it has one column; wanted a time and a value, parted by , ; | or a tab");
  }
  const bool has_header = std::none_of(first.begin(), first.end(), IsTime);
  if (has_header) columns.header = first;
  const std::size_t header_rows = has_header ? 1 : 0;
  const auto time = FindTime(rows, columns, options, header_rows);
  if (!time.ok()) return time.status();
  columns.time = *time;
  const auto value = FindValue(rows, columns, options, header_rows);
  if (!value.ok()) return value.status();
  columns.value = *value;
  if (columns.time == columns.value) {
    return absl::InvalidArgumentError(
        absl::StrCat(ColumnText(columns, columns.time), " cannot be both time and value"));
  }
  return columns;
}

std::string ColumnText(const ImportColumns& columns, std::size_t column) {
  const std::string number = absl::StrCat("column ", column + 1);
  if (column >= columns.header.size()) return number;
  return absl::StrCat(number, " (\"", PrintableText(columns.header[column]), "\")");
}

bool IsMissing(std::string_view cell) {
  const std::string word = Lower(cell);
  return word.empty() || word == "null" || word == "nan" || word == "undefined" || word == "-";
}

}  // namespace shadow
