#include "server/core/names.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/core/error.h"

namespace shadow {
namespace {

TEST_CASE("an id is 1 to 63 lower-case letters, digits and inner hyphens, a letter first") {
  for (const std::string& id :
       std::vector<std::string>{"a", "web", "w3", "a-b", "a--9", std::string(63, 'z')}) {
    INFO(id);
    CHECK(IsId(id));
  }
  for (const std::string& id :
       std::vector<std::string>{"", "3w", "-a", "a-", "Web", "a_b", "a.b", "a/b", "a b", "\xC3\xA9",
                                std::string(64, 'z')}) {
    INFO(id);
    CHECK_FALSE(IsId(id));
  }
  CHECK_FALSE(IsId(std::string_view("a\0b", 3)));
}

TEST_CASE("a foreign name is 1 to 127 letters, digits and _.:-") {
  for (const std::string& name :
       std::vector<std::string>{"be_web", "Svc:80", "a.b-c", "9", std::string(127, 'A')}) {
    INFO(name);
    CHECK(IsForeignName(name));
  }
  for (const std::string& name : std::vector<std::string>{"", "a b", "a/b", "a;b", "a\n",
                                                          "\xC3\xA9", std::string(128, 'A')}) {
    INFO(name);
    CHECK_FALSE(IsForeignName(name));
  }
}

TEST_CASE("a DNA's name is parsed with and without a revision") {
  const auto newest = ParseDnaName("dnas/web", "dna.name");
  REQUIRE(newest.ok());
  CHECK(newest->dna == "web");
  CHECK(newest->revision.empty());
  const auto pinned = ParseDnaName("dnas/web@0123456789ab", "dna.name");
  REQUIRE(pinned.ok());
  CHECK(pinned->dna == "web");
  CHECK(pinned->revision == "0123456789ab");
}

TEST_CASE("a malformed DNA name is refused with its field, and says what was wanted") {
  for (const char* name : {"", "web", "dnas/", "dnas/Web", "pools/web", "dnas/web/x", "dnas/web@",
                           "dnas/@0123456789ab", "dnas/web@0123456789aB", "dnas/web@0123456789a",
                           "dnas/web@0123456789abc", "dnas/web@0123456789ab@"}) {
    INFO(name);
    const auto parsed = ParseDnaName(name, "pool.dna");
    CHECK(parsed.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(ErrorField(parsed.status()) == "pool.dna");
  }
  const auto parsed = ParseDnaName("we\nb", "pool.dna");
  CHECK(std::string(parsed.status().message()) ==
        "pool.dna: \"we\\nb\" is not dnas/{dna} or dnas/{dna}@{12 hex digits} "
        "(ids match [a-z]([-a-z0-9]{0,61}[a-z0-9])?)");
}

TEST_CASE("pool and shadow names are parsed and built") {
  CHECK(ParsePoolName("pools/web", "name").value() == "web");
  const auto shadow = ParseShadowName("pools/web/shadowPools/r0123456789ab", "name");
  REQUIRE(shadow.ok());
  CHECK(shadow->pool == "web");
  CHECK(shadow->shadow == "r0123456789ab");
  CHECK(PoolName("web") == "pools/web");
  CHECK(ShadowPoolName("web", "r1") == "pools/web/shadowPools/r1");
}

TEST_CASE("malformed pool and shadow names are refused with their field") {
  for (const char* name :
       {"", "web", "pools/", "pools/-", "pools/web/", "pools/web/x", "dnas/web"}) {
    INFO(name);
    CHECK(ErrorField(ParsePoolName(name, "pool.name").status()) == "pool.name");
  }
  for (const char* name :
       {"", "pools/web", "pools/web/shadowPools", "pools/web/shadowPools/", "pools//shadowPools/r1",
        "pools/web/shadowpools/r1", "pools/web/shadowPools/r1/x"}) {
    INFO(name);
    CHECK(ErrorField(ParseShadowName(name, "name").status()) == "name");
  }
}

TEST_CASE("the name of an instance tells its pool, its shadow pool and its id") {
  const auto base = ParseInstanceName("pools/web/instances/i12", "name");
  REQUIRE(base.ok());
  CHECK(base->pool == "web");
  CHECK(base->shadow.empty());
  CHECK(base->id == "i12");
  const auto shadow = ParseInstanceName("pools/web/shadowPools/r1/instances/i7", "name");
  REQUIRE(shadow.ok());
  CHECK(shadow->pool == "web");
  CHECK(shadow->shadow == "r1");
  CHECK(shadow->id == "i7");
  for (const char* wrong :
       {"", "pools/web", "pools/web/instances/", "pools/web/instances/i", "pools/web/instances/x7",
        "pools/web/instances/i0", "pools/Web/instances/i7", "pools//instances/i7", "/instances/i7",
        "pools/web/shadowPools//instances/i7", "pools/web/instances/i7/instances/i8"}) {
    INFO(wrong);
    CHECK(ErrorField(ParseInstanceName(wrong, "name").status()) == "name");
  }
}

TEST_CASE("a long wrong name is cut in the error") {
  const auto parsed = ParsePoolName(std::string(100'000, 'x'), "name");
  CHECK(parsed.status().message().size() < 300);
}

TEST_CASE("the parts of a well-formed name") {
  CHECK(LastId("pools/web") == "web");
  CHECK(LastId("pools/web/shadowPools/r1") == "r1");
  CHECK(LastId("dnas/web") == "web");
  CHECK(RevisionOf("dnas/web@0123456789ab") == "0123456789ab");
}

}  // namespace
}  // namespace shadow
