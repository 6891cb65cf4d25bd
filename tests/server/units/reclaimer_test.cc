// Memory of suspended units, given back part by part.
#include "server/units/reclaimer.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

TEST_CASE("memory is reclaimed part by part, until there is none or the unit runs again") {
  const TemporaryDirectory group;
  const std::string file = group / "memory.reclaim";
  WriteFile(file, "");
  Reclaimer reclaimer;
  reclaimer.Begin("i1", group / "gone");  // Its control group is: nothing waits for it.
  reclaimer.Begin("i2", group.path());
  const auto asked = [&file] { return !ReadText(file).empty(); };
  REQUIRE(PollUntil(kPatience, asked));
  WriteFile(file, "");
  CHECK(PollUntil(kPatience, asked));  // Again, because each part could be freed.
  reclaimer.End("i2");
  const auto stays_empty = [&] {
    WriteFile(file, "");
    return !PollUntil(absl::Milliseconds(50), asked);
  };
  CHECK(PollUntil(kPatience, stays_empty));  // After the part that was under way.
}

TEST_CASE("what a unit gave back is known until it runs again") {
  const TemporaryDirectory group;
  WriteFile(group / "memory.current", "209715200\n");
  WriteFile(group / "memory.swap.max", "0\n");
  Reclaimer reclaimer;
  CHECK_FALSE(reclaimer.Reclaimed("i1").has_value());
  reclaimer.Begin("i1", group.path());  // Without memory.reclaim: nothing can be reclaimed.
  REQUIRE(PollUntil(kPatience, [&] { return reclaimer.Reclaimed("i1").has_value(); }));
  CHECK(*reclaimer.Reclaimed("i1") ==
        ReclaimedMemory{.before_bytes = 209715200, .after_bytes = 209715200, .swap = false});

  WriteFile(group / "memory.current", "10485760\n");
  reclaimer.Begin("i1", group.path());  // It was asked for again.
  REQUIRE(PollUntil(kPatience, [&] { return reclaimer.Reclaimed("i1").has_value(); }));
  CHECK(reclaimer.Reclaimed("i1")->before_bytes == 209715200);
  CHECK(reclaimer.Reclaimed("i1")->after_bytes == 10485760);

  reclaimer.End("i1");
  CHECK_FALSE(reclaimer.Reclaimed("i1").has_value());
}

}  // namespace
}  // namespace shadow
