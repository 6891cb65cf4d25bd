#include "client/output/table.h"

#include <algorithm>
#include <string_view>

#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kRed = "\x1b[31m";

std::string_view StateColour(std::string_view state) {
  if (state == "ACTIVE" || state == "READY") return kGreen;
  if (state == "FAILED") return kRed;
  if (state.ends_with("ING")) return kYellow;  // On its way.
  return "";
}

std::string PrintableCell(const TableRow& row, std::size_t column) {
  if (column >= row.size() || row[column].empty()) return "-";
  return PrintableText(row[column]);
}

}  // namespace

std::string RenderTable(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                        bool colour) {
  std::vector<TableRow> lines;
  TableRow& header = lines.emplace_back();
  for (const TableColumn& column : columns) header.push_back(column.header);
  for (const TableRow& row : rows) {
    TableRow& line = lines.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) line.push_back(PrintableCell(row, i));
  }

  std::vector<std::size_t> widths(columns.size(), 0);
  for (const TableRow& line : lines) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayColumns(line[i]));
    }
  }

  std::string table;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string& cell = lines[n][i];
      const std::string padding(widths[i] - DisplayColumns(cell), ' ');
      const bool last = i + 1 == columns.size();
      if (columns[i].cells == Cells::kNumber) text += padding;
      const std::string_view paint =
          colour && n > 0 && columns[i].cells == Cells::kState ? StateColour(cell) : "";
      text += paint;
      text += cell;
      if (!paint.empty()) text += kReset;
      if (columns[i].cells != Cells::kNumber && !last) text += padding;
      if (!last) text += kGap;
    }
    table += text;
    table += '\n';
  }
  return table;
}

}  // namespace shadow
