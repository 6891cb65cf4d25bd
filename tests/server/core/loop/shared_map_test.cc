#include "server/core/loop/status/shared_map.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace shadow {
namespace {

using Plain = std::map<std::string, int>;

Plain Contents(const SharedMap<int>& map) {
  Plain contents;
  std::string last;
  for (const auto& [key, value] : map) {
    CHECK((contents.empty() || last < key));
    contents[last = key] = value;
  }
  return contents;
}

TEST_CASE("whatever is set and erased, it reads as a plain map does, and so does each older copy") {
  std::mt19937 random(11);
  SharedMap<int> map;
  Plain plain;
  std::vector<std::pair<SharedMap<int>, Plain>> copies;
  for (int round = 0; round < 20'000; ++round) {
    // It grows, then shrinks to nothing.
    const bool grows = random() % 10 < (round < 10'000 ? 7 : 2);
    const std::string key = "pools/" + std::to_string(random() % 2000);
    if (grows) {
      map.Set(key, round);
      plain[key] = round;
    } else {
      map.Erase(key);
      plain.erase(key);
    }
    if (round % 500 == 0) copies.emplace_back(map, plain);
    REQUIRE(map.size() == plain.size());
    const std::string any = "pools/" + std::to_string(random() % 2000);
    CHECK(map.contains(any) == plain.contains(any));
    const auto after = map.upper_bound(any);
    const auto wanted = plain.upper_bound(any);
    REQUIRE((after == map.end()) == (wanted == plain.end()));
    if (wanted != plain.end()) CHECK(after->first == wanted->first);
  }
  for (const auto& [copy, then] : copies) CHECK(Contents(copy) == then);
  for (const auto& [key, value] : Plain(plain)) map.Erase(key);
  CHECK(map.size() == 0);
  CHECK(map.begin() == map.end());
  CHECK(map.find("pools/1") == map.end());
}

}  // namespace
}  // namespace shadow
