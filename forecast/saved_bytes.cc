#include "forecast/saved_bytes.h"

#include <bit>
#include <utility>

namespace shadow {
namespace {

constexpr size_t kChecksumBytes = 8;

// Source: G. Fowler, L. C. Noll, K.-P. Vo, FNV-1a, 64 bits.
uint64_t Checksum(std::string_view bytes) {
  constexpr uint64_t kOffsetBasis = 0xcbf29ce484222325ULL;
  constexpr uint64_t kPrime = 0x100000001b3ULL;
  uint64_t hash = kOffsetBasis;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  return hash;
}

}  // namespace

void SavedWriter::Little(uint64_t value, int bytes) {
  char little[8];  // Appended at once: a byte at a time is what saving would cost most.
  for (int i = 0; i < bytes; ++i) little[i] = static_cast<char>((value >> (8 * i)) & 0xFF);
  bytes_.append(little, static_cast<size_t>(bytes));
}

void SavedWriter::F32(float value) { U32(std::bit_cast<uint32_t>(value)); }

void SavedWriter::F64(double value) { Little(std::bit_cast<uint64_t>(value), 8); }

void SavedWriter::Bytes(std::string_view bytes) {
  I64(static_cast<int64_t>(bytes.size()));
  bytes_.append(bytes);
}

std::string SavedWriter::Finish() && {
  Little(Checksum(bytes_), kChecksumBytes);
  return std::move(bytes_);
}

SavedReader::SavedReader(std::string_view bytes) {
  if (bytes.size() < kChecksumBytes) {
    ok_ = false;
    return;
  }
  bytes_ = bytes.substr(bytes.size() - kChecksumBytes);
  const uint64_t checksum = Little(kChecksumBytes);
  bytes_ = bytes.substr(0, bytes.size() - kChecksumBytes);
  ok_ = Checksum(bytes_) == checksum;
}

uint64_t SavedReader::Little(size_t bytes) {
  if (!ok_ || bytes_.size() < bytes) {
    ok_ = false;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
  }
  bytes_.remove_prefix(bytes);
  return value;
}

std::string_view SavedReader::Bytes() {
  const int64_t size = I64();
  if (!ok_ || size < 0 || static_cast<uint64_t>(size) > bytes_.size()) {
    ok_ = false;
    return {};
  }
  const std::string_view bytes = bytes_.substr(0, static_cast<size_t>(size));
  bytes_.remove_prefix(bytes.size());
  return bytes;
}

float SavedReader::F32() { return std::bit_cast<float>(U32()); }

double SavedReader::F64() { return std::bit_cast<double>(Little(8)); }

}  // namespace shadow
