// The byte form of Save: little-endian fields, ended by a checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shadow {

class SavedWriter {
 public:
  void U8(uint8_t value) { Little(value, 1); }
  void U16(uint16_t value) { Little(value, 2); }
  void U32(uint32_t value) { Little(value, 4); }
  void F32(float value);
  void I64(int64_t value) { Little(static_cast<uint64_t>(value), 8); }
  void F64(double value);
  void Bytes(std::string_view bytes);  // With their number.

  // All fields and their checksum (64-bit FNV-1a, against damage, not against malice).
  std::string Finish() &&;

 private:
  void Little(uint64_t value, int bytes);

  std::string bytes_;
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
