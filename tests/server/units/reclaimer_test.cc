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

}  // namespace
}  // namespace shadow
