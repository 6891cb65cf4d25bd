// Numbers from 0 to 16,380 in two bytes: 5 bits of exponent, 11 of fraction, no sign. A sum of ones
// is exact up to 4,096, which is as many samples as a histogram remembers.
#pragma once

#include <bit>
#include <cstdint>

namespace shadow {

class SmallFloat {
 public:
  SmallFloat() = default;

  // Rounded to the nearest; below 2^-19 becomes 0, too much the greatest there is.
  explicit SmallFloat(float value) : bits_(Encode(value)) {}

  float value() const {
    return bits_ == 0 ? 0.0F : std::bit_cast<float>((uint32_t{bits_} << kShift) + kBias);
  }

  uint16_t bits() const { return bits_; }
  static SmallFloat FromBits(uint16_t bits) {
    SmallFloat number;
    number.bits_ = bits;
    return number;
  }

 private:
  static constexpr int kShift = 12;                            // 23 bits of fraction to 11.
  static constexpr uint32_t kBias = uint32_t{127 - 18} << 23;  // Exponent 0 is 2^-18.

  static uint16_t Encode(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value) + (uint32_t{1} << (kShift - 1));
    if (!(value > 0) || bits < kBias + (uint32_t{1} << kShift)) return 0;
    const uint32_t small = (bits - kBias) >> kShift;
    return static_cast<uint16_t>(small > 0xFFFF ? 0xFFFF : small);
  }

  uint16_t bits_ = 0;
};

}  // namespace shadow
