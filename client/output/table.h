// Aligned columns for people.
#pragma once

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

// A header line and one line a row, two spaces between columns, no trailing spaces, every line
// ended. Cells are made printable here; an empty one is shown as "-". Missing cells are empty.
std::string RenderTable(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                        bool colour);

// One column of a table of `Message`s: where its cells come from. `now` is for ages.
template <typename Message>
struct Column {
  const char* header;
  Cells cells;
  std::string (*text)(const Message& message, absl::Time now);
};

template <typename Message>
std::string RenderMessages(std::span<const Column<Message>> columns,
                           const std::vector<Message>& messages, absl::Time now, bool colour) {
  std::vector<TableColumn> headers;
  for (const Column<Message>& column : columns) headers.push_back({column.header, column.cells});
  std::vector<TableRow> rows;
  for (const Message& message : messages) {
    TableRow& row = rows.emplace_back();
    for (const Column<Message>& column : columns) row.push_back(column.text(message, now));
  }
  return RenderTable(headers, rows, colour);
}

}  // namespace shadow
