// Scales and small numbers: what they hold exactly, and how far they are off elsewhere.
#include <catch2/catch.hpp>
#include <cmath>

#include "forecast/need/semi_log_scale.h"
#include "forecast/need/small_float.h"

namespace shadow::testing {
namespace {

TEST_CASE("cells of a scale of four an octave are as drawn in its header") {
  struct Row {
    int value, cell, lowest, width;
  };
  const Row rows[] = {{0, 0, 0, 1},    {7, 7, 7, 1},    {8, 8, 8, 2},    {11, 9, 10, 2},
                      {15, 11, 14, 2}, {16, 12, 16, 4}, {31, 15, 28, 4}, {32, 16, 32, 8}};
  for (const Row& row : rows) {
    CHECK(ErrorScale::CellOf(row.value) == row.cell);
    CHECK(ErrorScale::Lowest(row.cell) == row.lowest);
    CHECK(ErrorScale::Width(row.cell) == row.width);
  }
}

TEST_CASE("every need has one cell, and cells follow each other without a gap") {
  int cell = 0;
  for (int need = 0; need <= 100'000; ++need) {
    if (need > NeedScale::Highest(cell)) ++cell;
    REQUIRE(NeedScale::CellOf(need) == cell);
    REQUIRE(NeedScale::Lowest(cell) <= need);
    REQUIRE(need <= NeedScale::Highest(cell));
  }
  CHECK(NeedScale::CellOf(63) == 63);
  CHECK(NeedScale::Width(63) == 1);
}

TEST_CASE("a sum of ones is exact up to 4,096 in a small float") {
  SmallFloat sum(0);
  for (int i = 1; i <= 4096; ++i) {
    sum = SmallFloat(sum.value() + 1);
    REQUIRE(sum.value() == static_cast<float>(i));
  }
}

TEST_CASE("a small float is off by at most one part in 4,096, and never negative") {
  for (float value = 1e-5F; value < 16'000; value *= 1.0137F) {
    const float back = SmallFloat(value).value();
    CHECK(std::abs(back - value) <= value / 4096);
  }
  CHECK(SmallFloat(0).value() == 0);
  CHECK(SmallFloat(-1).value() == 0);
  CHECK(SmallFloat(1e-9F).value() == 0);
  CHECK(SmallFloat(1e9F).value() == SmallFloat::FromBits(0xFFFF).value());
  CHECK(SmallFloat::FromBits(SmallFloat(3.25F).bits()).value() == 3.25F);
}

}  // namespace
}  // namespace shadow::testing
