#include "client/output/marks.h"

namespace shadow {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

}  // namespace

std::string Painted(std::span<const Mark> marks, bool colour) {
  std::string line;
  std::string_view paint;
  for (const Mark& mark : marks) {
    if (colour && mark.paint != paint) {
      if (!paint.empty()) line += kReset;
      paint = mark.paint;
      line += paint;
    }
    line += mark.glyph;
  }
  if (!paint.empty()) line += kReset;
  return line;
}

}  // namespace shadow
