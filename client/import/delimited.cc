#include "client/import/delimited.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr std::size_t kCellBytesMax = 64 << 10;
constexpr std::size_t kCellsMax = 1000;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view TrimCell(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

bool DelimitedReader::BlankLine() const {
  return TrimCell(text_.substr(0, text_.find('\n'))).empty();
}

absl::StatusOr<std::string> DelimitedReader::Cell() {
  const std::size_t first = line_;
  std::size_t begin = 0;
  while (begin < text_.size() && text_[begin] != delimiter_ && IsBlank(text_[begin])) ++begin;
  if (begin == text_.size() || text_[begin] != '"') {
    const char ends[] = {delimiter_, '\n'};
    const std::size_t end = std::min(text_.find_first_of({ends, 2}), text_.size());
    std::string cell(TrimCell(text_.substr(0, end)));
    text_.remove_prefix(end);
    return cell;
  }
  text_.remove_prefix(begin + 1);
  std::string cell;
  while (true) {
    if (text_.empty() || cell.size() > kCellBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("line ", first, ": a quote is not closed"));
    }
    const char c = text_.front();
    text_.remove_prefix(1);
    if (c == '"') {
      if (!text_.starts_with('"')) break;
      text_.remove_prefix(1);
    }
    if (c == '\n') ++line_;
    cell += c;
  }
  while (!text_.empty() && text_.front() != delimiter_ && IsBlank(text_.front())) {
    text_.remove_prefix(1);
  }
  if (!text_.empty() && text_.front() != delimiter_ && text_.front() != '\n') {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", line_, ": text follows a quote that is closed"));
  }
  return std::string(TrimCell(cell));
}

absl::StatusOr<bool> DelimitedReader::Next(DelimitedRow& row) {
  row.cells.clear();
  while (!text_.empty() && BlankLine()) {
    const std::size_t end = text_.find('\n');
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    ++line_;
  }
  row.line = line_;
  if (text_.empty()) return false;
  while (true) {
    absl::StatusOr<std::string> cell = Cell();
    if (!cell.ok()) return cell.status();
    if (row.cells.size() == kCellsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", row.line, ": more than ", kCellsMax, " columns"));
    }
    row.cells.push_back(*std::move(cell));
    if (text_.empty()) return true;
    const char end = text_.front();
    text_.remove_prefix(1);
    if (end == delimiter_) continue;
    ++line_;
    return true;
  }
}

char FindDelimiter(std::string_view line) {
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char candidate : {',', ';', '\t', '|'}) {
    bool quoted = false;
    std::ptrdiff_t count = 0;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      if (c == candidate && !quoted) ++count;
    }
    if (count > most) {
      most = count;
      best = candidate;
    }
  }
  return best;
}

}  // namespace shadow
