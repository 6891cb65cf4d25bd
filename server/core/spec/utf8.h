// UTF-8 in text that others wrote. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace shadow {

// Length of the valid UTF-8 sequence at the start of `text`; 0: none. (RFC 3629, table 3-7 of
// Unicode)
inline size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto in = [](unsigned value, unsigned low, unsigned high) {
    return low <= value && value <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (in(first, 0xC2, 0xDF)) return in(byte(1), 0x80, 0xBF) ? 2 : 0;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (!in(byte(1), low, high) || !in(byte(2), 0x80, 0xBF)) return 0;
  if (in(first, 0xE0, 0xEF)) return 3;
  return in(first, 0xF0, 0xF4) && in(byte(3), 0x80, 0xBF) ? 4 : 0;
}

// Whether the valid sequence at the start of `text` steers a terminal: C0, DEL or C1.
inline bool IsControlSequence(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
}

}  // namespace shadow
