#include "client/output/table.h"

#include <algorithm>
#include <string_view>

#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kCutWidthMin = 8;  // Of a text that is cut.
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

std::size_t TotalWidth(const std::vector<std::size_t>& widths) {
  std::size_t total = widths.empty() ? 0 : kGap.size() * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  return total;
}

// The widest column of text that can be narrower; `widths.size()`: there is none.
std::size_t WidestToCut(std::span<const TableColumn> columns,
                        const std::vector<std::size_t>& widths) {
  std::size_t widest = widths.size();
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::size_t least = std::max(kCutWidthMin, columns[i].header.size());
    if (columns[i].cells != Cells::kText || columns[i].header == "NAME") continue;
    if (widths[i] > least && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
  }
  return widest;
}

// `text` in at most `width` columns, at least 1.
std::string CutTo(const std::string& text, std::size_t width, bool utf8) {
  if (DisplayColumns(text) <= width) return text;
  std::size_t bytes = 0;
  for (std::size_t shown = 0; bytes < text.size(); ++bytes) {
    const bool begins = (static_cast<unsigned char>(text[bytes]) & 0xC0U) != 0x80U;
    if (begins && shown++ == width - 1) break;
  }
  return text.substr(0, bytes) + (utf8 ? "…" : "~");
}

// Narrows `widths` until the line fits, as far as columns may be cut; then the line's end goes.
void Fit(std::span<const TableColumn> columns, TableFit fit, std::vector<std::size_t>& widths,
         std::vector<TableRow>& lines) {
  if (fit.columns_max == 0) return;
  while (TotalWidth(widths) > fit.columns_max) {
    const std::size_t widest = WidestToCut(columns, widths);
    if (widest == widths.size()) break;
    --widths[widest];
  }
  // Columns that begin behind the edge are left out; the one on it is cut.
  std::size_t start = 0;
  std::size_t kept = 0;
  while (kept < widths.size() && start < fit.columns_max) {
    widths[kept] = std::min(widths[kept], fit.columns_max - start);
    start += widths[kept++] + kGap.size();
  }
  widths.resize(kept);
  for (TableRow& line : lines) {
    line.resize(kept);
    for (std::size_t i = 0; i < kept; ++i) line[i] = CutTo(line[i], widths[i], fit.utf8);
  }
}

}  // namespace

std::string RenderTable(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                        bool colour, TableFit fit) {
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
  Fit(columns, fit, widths, lines);

  std::string table;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string& cell = lines[n][i];
      const std::string padding(widths[i] - DisplayColumns(cell), ' ');
      const bool last = i + 1 == widths.size();
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
