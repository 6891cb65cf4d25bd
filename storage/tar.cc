#include "storage/tar.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow::storage {
namespace {

// Where the fields are and how many bytes they have (POSIX.1-2017, pax, ustar interchange format).
struct Field {
  size_t at;
  size_t bytes;
};
constexpr Field kName = {0, 100};
constexpr Field kMode = {100, 8};
constexpr Field kUid = {108, 8};
constexpr Field kGid = {116, 8};
constexpr Field kSize = {124, 12};
constexpr Field kTime = {136, 12};
constexpr Field kChecksum = {148, 8};
constexpr Field kType = {156, 1};
constexpr Field kMagic = {257, 8};

constexpr std::string_view kUstar{"ustar\00000", 8};
constexpr char kBinary = '\x80';  // Begins a size in GNU's form: the rest is big-endian.
constexpr int64_t kOctalMax = (int64_t{1} << 33) - 1;

void Put(std::string& block, Field field, std::string_view value) {
  block.replace(field.at, std::min(field.bytes, value.size()), value.substr(0, field.bytes));
}

std::string SizeField(int64_t bytes) {
  if (bytes <= kOctalMax) return absl::StrFormat("%011o", bytes);
  std::string field(kSize.bytes, '\0');
  field[0] = kBinary;
  for (size_t i = kSize.bytes - 1; bytes > 0; --i, bytes >>= 8) {
    field[i] = static_cast<char>(bytes & 0xff);
  }
  return field;
}

// -1: it is no number, or too large.
int64_t ParseSize(std::string_view field) {
  int64_t value = 0;
  const bool binary = field[0] == kBinary;
  for (size_t i = binary ? 1 : 0; i < field.size(); ++i) {
    const auto byte = static_cast<uint8_t>(field[i]);
    if (!binary && (byte == 0 || byte == ' ')) break;
    if (!binary && (byte < '0' || byte > '7')) return -1;
    if (value >> (binary ? 54 : 59) != 0) return -1;
    value = binary ? value << 8 | byte : value << 3 | (byte - '0');
  }
  return value;
}

// The sum of all bytes, with spaces where the sum itself is.
std::string ChecksumField(std::string block) {
  Put(block, kChecksum, std::string(kChecksum.bytes, ' '));
  uint32_t sum = 0;
  for (const char byte : block) sum += static_cast<uint8_t>(byte);
  return absl::StrFormat("%06o", sum) + std::string("\0 ", 2);
}

}  // namespace

std::string TarHeader(const TarEntry& entry) {
  std::string block(kTarBlockBytes, '\0');
  Put(block, kName, entry.name);
  Put(block, kMode, "0000600");
  Put(block, kUid, "0000000");
  Put(block, kGid, "0000000");
  Put(block, kSize, SizeField(entry.bytes));
  Put(block, kTime, "00000000000");
  Put(block, kType, "0");
  Put(block, kMagic, kUstar);
  Put(block, kChecksum, ChecksumField(block));
  return block;
}

absl::StatusOr<TarEntry> ParseTarHeader(std::string_view block) {
  const auto field = [block](Field wanted) { return block.substr(wanted.at, wanted.bytes); };
  if (block.size() != kTarBlockBytes || field(kMagic) != kUstar || field(kType) != "0" ||
      field(kChecksum) != ChecksumField(std::string(block))) {
    return absl::DataLossError("wanted a header of a tar archive, found something else");
  }
  const std::string_view name = field(kName);
  TarEntry entry{.name = std::string(name.substr(0, name.find('\0'))),
                 .bytes = ParseSize(field(kSize))};
  if (entry.bytes < 0) return absl::DataLossError("a file in it has no size");
  return entry;
}

size_t TarPaddingBytes(int64_t bytes) {
  return (kTarBlockBytes - static_cast<size_t>(bytes) % kTarBlockBytes) % kTarBlockBytes;
}

}  // namespace shadow::storage
