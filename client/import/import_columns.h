// Which column of a table holds the times, and which the values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/import/import.h"

namespace shadow {

struct ImportColumns {
  std::vector<std::string> header;  // Empty: the table has none.
  std::size_t time = 0;             // From 0.
  std::size_t value = 0;
};

// `rows`: the first of the table, a header or not. A column that the options name; otherwise one
// whose name says it, otherwise the first that holds times, and the only other one that holds
// numbers. kInvalidArgument: there is none, or more than one; names them.
absl::StatusOr<ImportColumns> FindImportColumns(const std::vector<std::vector<std::string>>& rows,
                                                const ImportOptions& options);

// 'column 2 ("Requests")'
std::string ColumnText(const ImportColumns& columns, std::size_t column);

// Whether a cell stands for a value that is not known: empty, "null", "NaN", "undefined", "-".
bool IsMissing(std::string_view cell);

}  // namespace shadow
