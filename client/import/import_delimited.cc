// CSV files: Grafana's, and any other.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/import/delimited.h"
#include "client/import/import.h"
#include "client/import/import_columns.h"
#include "client/import/import_rows.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::size_t kPeekRows = 50;
constexpr std::string_view kSeparatorLine = "sep=";  // Of Excel, which Grafana writes on request.

struct Dialect {
  char delimiter = ',';
  bool excel = false;
  std::string_view rows;  // Of the text.
  std::size_t lines_before = 0;
};

Dialect FindDialect(std::string_view text) {
  Dialect dialect{.rows = text};
  if (text.starts_with(kSeparatorLine) && text.size() > kSeparatorLine.size()) {
    dialect.delimiter = text[kSeparatorLine.size()];
    dialect.excel = true;
    const std::size_t end = text.find('\n');
    dialect.rows.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    dialect.lines_before = 1;
    return dialect;
  }
  const std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  dialect.delimiter = FindDelimiter(text.substr(begin, text.find('\n', begin) - begin));
  return dialect;
}

std::string DelimiterText(char delimiter) {
  return delimiter == '\t' ? std::string("a tab")
                           : absl::StrCat("\"", std::string(1, delimiter), "\"");
}

// The numbers of one column: with a point or with a comma, not with both.
class Numbers {
 public:
  explicit Numbers(char delimiter) : delimiter_(delimiter) {}

  absl::StatusOr<double> Parse(std::string cell) {
    const bool comma = cell.find(',') != std::string::npos;
    const bool point = cell.find('.') != std::string::npos;
    if (comma && (delimiter_ == ',' || point || point_)) {
      return Error(cell, "has a comma; wanted no separators of thousands, and one decimal mark");
    }
    if (point && comma_) return Error(cell, "has a point, and those before a comma");
    if (comma) cell[cell.find(',')] = '.';
    double value = 0;
    if (!absl::SimpleAtod(cell, &value)) {
      return Error(cell, "is not a number; of Grafana, export it without \"Formatted data\"");
    }
    comma_ |= comma;
    point_ |= point;
    return value;
  }
  bool comma() const { return comma_; }

 private:
  static absl::Status Error(const std::string& cell, const char* words) {
    return absl::InvalidArgumentError(absl::StrCat("\"", PrintableText(cell), "\" ", words));
  }

  const char delimiter_;
  bool comma_ = false;
  bool point_ = false;
};

absl::StatusOr<ImportColumns> PeekColumns(const Dialect& dialect, const ImportOptions& options) {
  DelimitedReader reader(dialect.rows, dialect.delimiter);
  std::vector<std::vector<std::string>> rows;
  DelimitedRow row;
  while (rows.size() < kPeekRows) {
    const absl::StatusOr<bool> more = reader.Next(row);
    if (!more.ok()) return more.status();
    if (!*more) break;
    rows.push_back(row.cells);
  }
  return FindImportColumns(rows, options);
}

std::string ToldColumns(const Dialect& dialect, const ImportColumns& columns,
                        const ImportOptions& options, const ImportRows& rows, bool comma) {
  const bool grafana =
      dialect.excel || (!columns.header.empty() && columns.header.front() == "Time");
  std::string told = absl::StrCat(
      grafana ? "CSV as Grafana writes it" : "CSV", ", parted by ",
      DelimiterText(dialect.delimiter), ", ",
      columns.header.empty()
          ? std::string("without a header")
          : absl::StrCat("header: ", PrintableText(absl::StrJoin(columns.header, " | "))),
      "\n");
  const std::string zone =
      !rows.zoneless() ? ""
                       : absl::StrCat(" without a zone, read in ",
                                      options.time_zone ? options.time_zone->name() : "UTC");
  absl::StrAppend(&told, "  ", ColumnText(columns, columns.time), ": time, ", rows.form(), zone,
                  "\n  ", ColumnText(columns, columns.value), ": value",
                  comma ? ", with a decimal comma" : "",
                  options.scale == 1 ? "" : absl::StrCat(", times ", options.scale), "\n");
  for (std::size_t i = 0; i < columns.header.size(); ++i) {
    if (i == columns.time || i == columns.value) continue;
    absl::StrAppend(&told, "  ", ColumnText(columns, i), ": not used\n");
  }
  return told;
}

// One row of samples. kInvalidArgument, with the column.
absl::Status AddRow(const DelimitedRow& row, std::size_t line, const ImportColumns& columns,
                    absl::TimeZone zone, Numbers& numbers, ImportRows& rows) {
  const auto fail = [&](std::size_t column, const absl::Status& status) {
    return absl::InvalidArgumentError(absl::StrCat("line ", line, ", ", ColumnText(columns, column),
                                                   ": ", std::string(status.message())));
  };
  if (std::max(columns.time, columns.value) >= row.cells.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", line, ": it has ",
                     CountText(static_cast<std::int64_t>(row.cells.size()), "column"), "; wanted ",
                     ColumnText(columns, std::max(columns.time, columns.value))));
  }
  const auto time = ParseImportedTime(row.cells[columns.time], zone);
  if (!time.ok()) return fail(columns.time, time.status());
  const std::string& cell = row.cells[columns.value];
  if (IsMissing(cell)) {
    rows.Miss();
    return absl::OkStatus();
  }
  const auto value = numbers.Parse(cell);
  if (!value.ok()) return fail(columns.value, value.status());
  const absl::Status added = rows.Add(*time, *value, line);
  return added.ok() ? added : fail(columns.value, added);
}

}  // namespace

absl::StatusOr<Imported> ImportDelimited(std::string_view text, std::string_view source,
                                         const ImportOptions& options) {
  const auto fail = [&](const absl::Status& status) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(source), ": ", std::string(status.message())));
  };
  const Dialect dialect = FindDialect(text);
  const auto columns = PeekColumns(dialect, options);
  if (!columns.ok()) return fail(columns.status());
  DelimitedReader reader(dialect.rows, dialect.delimiter);
  Numbers numbers(dialect.delimiter);
  ImportRows rows(options.scale);
  DelimitedRow row;
  bool header = !columns->header.empty();
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(row);
    if (!more.ok()) return fail(more.status());
    if (!*more) break;
    if (std::exchange(header, false)) continue;
    const absl::Status added =
        AddRow(row, row.line + dialect.lines_before, *columns,
               options.time_zone.value_or(absl::UTCTimeZone()), numbers, rows);
    if (!added.ok()) return fail(added);
  }
  Imported imported;
  imported.told = absl::StrCat(std::string(source), ": ",
                               ToldColumns(dialect, *columns, options, rows, numbers.comma()));
  if (absl::Status status = rows.Finish(imported); !status.ok()) return fail(status);
  if (options.time_zone) imported.zoneless_place = 0;
  return imported;
}

}  // namespace shadow
