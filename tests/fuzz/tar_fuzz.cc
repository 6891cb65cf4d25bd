// Headers of backups.
#include <cstdlib>
#include <string>

#include "storage/tar.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  std::string block(bytes.substr(0, storage::kTarBlockBytes));
  block.resize(storage::kTarBlockBytes);
  // A checksum that fits, as spaces stand for it.
  block.replace(148, 8, 8, ' ');
  uint32_t sum = 0;
  for (const char byte : block) sum += static_cast<uint8_t>(byte);
  for (size_t i = 0; i < 6; ++i) block[153 - i] = static_cast<char>('0' + (sum >> (3 * i) & 7));
  block[154] = '\0';
  const auto entry = storage::ParseTarHeader(block);
  if (entry.ok() && entry->bytes < 0) abort();
}

}  // namespace shadow
