#include "client/import/import.h"

namespace shadow {

absl::StatusOr<Imported> ImportSamples(std::string_view text, std::string_view source,
                                       const ImportOptions& options) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
  return json ? ImportJson(text, source, options) : ImportDelimited(text, source, options);
}

}  // namespace shadow
