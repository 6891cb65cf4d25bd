#include "forecast/saved_bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace shadow {
namespace {

constexpr size_t kChecksumBytes = 8;

// As FNV-1a, but of eight bytes at a time, the last ones filled up with zeros; for that the high
// half is folded into the low one each time, which a multiplication never reaches.
// Source: G. Fowler, L. C. Noll, K.-P. Vo, FNV-1a, 64 bits.
uint64_t Checksum(std::string_view bytes) {
  constexpr uint64_t kOffsetBasis = 0xcbf29ce484222325ULL;
  constexpr uint64_t kPrime = 0x100000001b3ULL;
  uint64_t hash = kOffsetBasis ^ bytes.size();
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

void SavedWriter::Bytes(std::string_view bytes) {
  I64(static_cast<int64_t>(bytes.size()));
  Append(bytes.data(), bytes.size());
}

void SavedWriter::Append(const void* data, size_t size) {
  bytes_.resize(used_);
  bytes_.append(static_cast<const char*>(data), size);
  used_ = bytes_.size();
}

std::string SavedWriter::Finish() && {
  Put(Checksum(std::string_view(bytes_).substr(0, used_)));
  bytes_.resize(used_);
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
