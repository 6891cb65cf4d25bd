#include "client/names.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

TEST_CASE("short names become full ones and full ones stay") {
  CHECK(FullDnaName("web") == "dnas/web");
  CHECK(FullDnaName("web@0123456789ab") == "dnas/web@0123456789ab");
  CHECK(FullDnaName("dnas/web") == "dnas/web");
  CHECK(FullPoolName("web") == "pools/web");
  CHECK(FullPoolName("pools/web") == "pools/web");
  CHECK(FullPoolName("dnas/web") == "dnas/web");  // The daemon says what is wrong with it.
  CHECK(FullShadowName("web/x") == "pools/web/shadowPools/x");
  CHECK(FullShadowName("pools/web/shadowPools/x") == "pools/web/shadowPools/x");
  CHECK(FullShadowName("web").empty());
  CHECK(FullShadowName("pools/web").empty());
}

TEST_CASE("the pool of any name below it is found") {
  for (const char* name :
       {"web", "web/x", "pools/web", "pools/web/shadowPools/x", "pools/web/instances/i"}) {
    INFO(name);
    CHECK(PoolOf(name) == "pools/web");
  }
}

TEST_CASE("names in tables are the short ones that are understood again") {
  CHECK(ShortName("dnas/web@0123456789ab") == "web@0123456789ab");
  CHECK(ShortName("pools/web") == "web");
  CHECK(ShortName("pools/web/shadowPools/x") == "web/x");
  CHECK(FullShadowName(ShortName("pools/web/shadowPools/x")) == "pools/web/shadowPools/x");
  CHECK(ShortName("pools/web/shadowPools/x/instances/i") == "web/x/i");
  CHECK(ShortName("pools/web/instances/i") == "web/i");
  CHECK(ShortName("something") == "something");
}

}  // namespace
}  // namespace shadow
