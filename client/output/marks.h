// The characters that pictures in the terminal are made of, and their colours.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace shadow {

// One cell of a picture; no paint: the terminal's own colour.
struct Mark {
  std::string_view glyph;
  std::string_view paint;  // An escape sequence.
};

// Bars and axes. Use one for the whole of a picture.
struct Frame {
  std::array<std::string_view, 9> bar;  // Filled by 0 to 8 eighths.
  std::string_view side;
  std::string_view corner;
  std::string_view floor;
};

inline constexpr Frame kBlockFrame = {
    .bar = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, .side = "│", .corner = "└", .floor = "─"};
inline constexpr Frame kAsciiFrame = {
    .bar = {" ", "_", "_", "_", "#", "#", "#", "#", "#"}, .side = "|", .corner = "+", .floor = "-"};

// A line of marks; with `colour` a run of one colour is painted as a whole.
std::string Painted(std::span<const Mark> marks, bool colour);

}  // namespace shadow
