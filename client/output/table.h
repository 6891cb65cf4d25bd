// Aligned columns for people.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace shadow {

enum class Cells {
  kText,    // Left.
  kNumber,  // Right.
  kState,   // Left, and coloured by its meaning.
};

struct TableColumn {
  std::string header;
  Cells cells = Cells::kText;
};

using TableRow = std::vector<std::string>;

// How wide a table may be. Longer texts are cut, and end in "…" ("~" without UTF-8): the widest
// columns of text first, but a column NAME, which people type again, only as the last. No line is
// ever wrapped.
struct TableFit {
  std::size_t columns_max = 0;  // 0: as wide as it is.
  bool utf8 = true;
  bool wide = false;  // With the columns that are ColumnIn::kWide.
};

// A header line and one line a row, two spaces between columns, no trailing spaces, every line
// ended. Cells are made printable here; an empty one is shown as "-". Missing cells are empty.
std::string RenderTable(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                        bool colour, TableFit fit = {});

enum class ColumnIn { kEvery, kWide };

// One column of a table of `Message`s: where its cells come from. `now` is for ages.
template <typename Message>
struct Column {
  const char* header;
  Cells cells;
  std::string (*text)(const Message& message, absl::Time now);
  ColumnIn in = ColumnIn::kEvery;
};

template <typename Message>
std::string RenderMessages(std::span<const Column<Message>> columns,
                           const std::vector<Message>& messages, absl::Time now, bool colour,
                           TableFit fit = {}) {
  const auto is_shown = [&](const Column<Message>& column) {
    return fit.wide || column.in == ColumnIn::kEvery;
  };
  std::vector<TableColumn> headers;
  for (const Column<Message>& column : columns) {
    if (is_shown(column)) headers.push_back({column.header, column.cells});
  }
  std::vector<TableRow> rows;
  for (const Message& message : messages) {
    TableRow& row = rows.emplace_back();
    for (const Column<Message>& column : columns) {
      if (is_shown(column)) row.push_back(column.text(message, now));
    }
  }
  return RenderTable(headers, rows, colour, fit);
}

}  // namespace shadow
