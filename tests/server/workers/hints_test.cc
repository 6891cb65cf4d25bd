// What of a flood of hints comes through.
#include "server/workers/hints.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/manual_clock.h"

namespace shadow {
namespace {

using Ids = std::set<std::string>;

TEST_CASE("an instance passes once a second, however often it is told of") {
  ManualClock clock;
  int filled = 0;
  Hints hints(clock, [&filled] { ++filled; });
  for (int i = 0; i < 1000; ++i) hints.Note("i1");
  CHECK(filled == 1);
  CHECK(hints.Take() == Ids{"i1"});
  for (int i = 0; i < 1000; ++i) hints.Note("i1");
  CHECK(hints.Take().empty());
  hints.Note("i2");  // Another one is not held up by it.
  CHECK(hints.Take() == Ids{"i2"});
  clock.Advance(Hints::kInterval);
  hints.Note("i1");
  CHECK(hints.Take() == Ids{"i1"});
  CHECK(filled == 3);
}

TEST_CASE("those that wait are told of once, and taken together") {
  ManualClock clock;
  int filled = 0;
  Hints hints(clock, [&filled] { ++filled; });
  for (int second = 0; second < 5; ++second) {
    hints.Note("i1");
    hints.Note("i2");
    clock.Advance(Hints::kInterval);
  }
  CHECK(filled == 1);
  CHECK(hints.Take() == Ids{"i1", "i2"});
  CHECK(hints.Take().empty());
}

TEST_CASE("however many names are made up, few of them wait") {
  ManualClock clock;
  Hints hints(clock, [] {});
  for (size_t i = 0; i < 10 * Hints::kIdsMax; ++i) {
    if (i % Hints::kIdsMax == 0) clock.Advance(Hints::kInterval);
    hints.Note("i" + std::to_string(i));
  }
  CHECK(hints.Take().size() == Hints::kIdsMax);
}

TEST_CASE("hints of many threads each pass once") {
  ManualClock clock;
  Hints hints(clock, [] {});
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&hints] {
      for (int i = 0; i < 100; ++i) hints.Note("i" + std::to_string(i));
    });
  }
  threads.clear();
  CHECK(hints.Take().size() == 100);
}

}  // namespace
}  // namespace shadow
