// Which ends are told of, and that nothing else is.
#include "server/providers/look/exit_watch.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

TEST_CASE("a closed exit file is told of, and no other file") {
  const TemporaryDirectory directory;
  Heard heard;
  const ExitWatch watch(directory.path(), heard.Listener());
  for (const char* name : {"i1.log", "i1.pid", ".exit", "NO.exit", "exit", "i2.exit.part"}) {
    WriteFile(directory / name, "exited 3");
  }
  WriteFile(directory / "i7.exit", "exited 3");  // After all others, as the kernel tells them.
  REQUIRE(PollUntil(kPatience, [&] { return !heard.ids().empty(); }));
  CHECK(heard.ids() == std::set<std::string>{"i7"});
}

TEST_CASE("what cannot be watched tells nothing and ends at once") {
  Heard heard;
  { const ExitWatch watch("/nowhere", heard.Listener()); }
  CHECK(heard.ids().empty());
}

}  // namespace
}  // namespace shadow
