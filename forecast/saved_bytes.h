// The byte form of Save: little-endian fields, ended by a checksum.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace shadow {

// Saved steps, whether counted or as an index since 1970, are within this either way: bytes from
// elsewhere must not bring the arithmetic out of range.
inline constexpr int64_t kSavedStepsMax = int64_t{1} << 40;

class SavedWriter {
 public:
  void U8(uint8_t value) { Put(value); }
  void U16(uint16_t value) { Put(value); }
  void U32(uint32_t value) { Put(value); }
  void F32(float value) { Put(value); }
  void I64(int64_t value) { Put(value); }
  void F64(double value) { Put(value); }
  void Bytes(std::string_view bytes);  // With their number.

  // Numbers of one width, or arrays of such, each as it would be written by itself.
  template <typename Number>
  void All(std::span<const Number> numbers) {
    static_assert(std::is_trivially_copyable_v<Number>);
    Append(numbers.data(), numbers.size_bytes());
  }

  // All fields and their checksum (against damage, not against malice).
  std::string Finish() &&;

 private:
  static_assert(std::endian::native == std::endian::little);

  // Called for every number that a pool has learned, so it does not grow the string one by one.
  template <typename Number>
  void Put(Number value) {
    if (bytes_.size() - used_ < sizeof(value)) bytes_.resize(2 * bytes_.size() + kFirstBytes);
    std::memcpy(bytes_.data() + used_, &value, sizeof(value));
    used_ += sizeof(value);
  }

  void Append(const void* data, size_t size);

  static constexpr size_t kFirstBytes = 1024;

  std::string bytes_;
  size_t used_ = 0;  // Of `bytes_`, from the front.
};

// Reads past the end give 0 and make ok() false for ever; nothing else is trusted either: the
// caller checks every value. `bytes` must outlive this.
class SavedReader {
 public:
  // ok() is false from the start if the checksum does not fit.
  explicit SavedReader(std::string_view bytes);

  uint8_t U8() { return static_cast<uint8_t>(Little(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Little(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Little(4)); }
  float F32();
  int64_t I64() { return static_cast<int64_t>(Little(8)); }
  double F64();
  std::string_view Bytes();  // Into what this reads.

  bool ok() const { return ok_; }
  size_t remaining() const { return bytes_.size(); }  // Bytes, without the checksum.

 private:
  uint64_t Little(size_t bytes);

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace shadow
