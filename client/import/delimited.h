// Rows of text whose cells a delimiter parts, some of them in quotes (RFC 4180).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace shadow {

struct DelimitedRow {
  std::size_t line = 0;            // Where it begins, from 1.
  std::vector<std::string> cells;  // Without quotes and the space around.
};

// Blank lines are passed over. `text` must outlive this.
class DelimitedReader {
 public:
  DelimitedReader(std::string_view text, char delimiter) : text_(text), delimiter_(delimiter) {}

  // The next row; false at the end. kInvalidArgument: a quote that is not closed, or what follows
  // one that is; says the line.
  absl::StatusOr<bool> Next(DelimitedRow& row);

 private:
  absl::StatusOr<std::string> Cell();
  // What is left of the line is blank.
  bool BlankLine() const;

  std::string_view text_;
  const char delimiter_;
  std::size_t line_ = 1;
};

// Of a line: the one of , ; tab and | that it has most of outside quotes; ',' if none.
char FindDelimiter(std::string_view line);

}  // namespace shadow
