// Whole numbers on a scale that is exact near zero and coarse far out, as a floating-point number's
// digits are. Source: the bucket layout of G. Tene, HdrHistogram.
#pragma once

#include <bit>
#include <cstdint>

namespace shadow {

// Cells of 0, 1, 2, ...: single numbers below 2 x kPerOctave, then kPerOctave equal cells for each
// doubling. e.g. kPerOctave 4: 0 ... 7, then 8-9, 10-11, 12-13, 14-15, 16-19, ...
template <int kPerOctave>
struct SemiLogScale {
  static constexpr int kExact = 2 * kPerOctave;

  // The cell that holds `value` >= 0. e.g. kPerOctave 4: CellOf(11) = 9.
  static constexpr int CellOf(int value) {
    if (value < kExact) return value;
    const int octave = OctaveOf(value);
    return kExact + octave * kPerOctave + ((value - (kExact << octave)) >> (octave + 1));
  }

  static constexpr int Lowest(int cell) {
    if (cell < kExact) return cell;
    const int octave = (cell - kExact) / kPerOctave;
    return (kExact << octave) + ((cell - kExact) % kPerOctave << (octave + 1));
  }

  // How many numbers the cell holds.
  static constexpr int Width(int cell) {
    return cell < kExact ? 1 : 2 << ((cell - kExact) / kPerOctave);
  }

  static constexpr int Highest(int cell) { return Lowest(cell) + Width(cell) - 1; }

 private:
  static constexpr int OctaveOf(int value) {  // 0: from kExact to 2 x kExact - 1.
    return static_cast<int>(std::bit_width(static_cast<uint32_t>(value))) -
           static_cast<int>(std::bit_width(uint32_t{kExact}));
  }
};

// Needs in instances, and loads in quarters of one: to within 1/32 beyond 63. A cell of loads never
// lies in two of needs.
using NeedScale = SemiLogScale<32>;
using LoadScale = SemiLogScale<32>;

// Distances between a load and a guess of it: to within 1/4 beyond 7.
using ErrorScale = SemiLogScale<4>;

}  // namespace shadow
