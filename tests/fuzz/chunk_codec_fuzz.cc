// Chunks of samples, as they are stored: any bytes behind a checksum that fits.
#include <cstdlib>
#include <string>

#include "storage/samples/chunk_codec.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  uint32_t hash = 0x811c9dc5U;  // FNV-1a
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x01000193U;
  std::string chunk(bytes);
  for (int i = 0; i < 4; ++i) chunk += static_cast<char>(hash >> (8 * i) & 0xff);
  const auto samples = storage::DecodeSamples(chunk);
  // What is taken is what would have been written, in the end.
  if (samples.ok() && !storage::DecodeSamples(storage::EncodeSamples(*samples)).ok()) abort();
}

}  // namespace shadow
