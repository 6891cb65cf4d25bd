// The bank of policies: which one would have been the cheapest, and what it takes back.
#include "server/core/capacity/policy_bank.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

namespace shadow {
namespace {

struct Tally {
  double misses = 0;
  double missing = 0;
  double idle = 0;
};

// Days of 100 steps. The one that prices no miss is last but one; the last is another's.
const PolicyBank::Options kOptions = {
    .lead_steps = 2,
    .day_steps = 100,
    .prices = {{.shortage = 3, .miss = 16}, {.shortage = 9, .miss = 0}, {.shortage = 1, .miss = 0}},
};
constexpr size_t kOwn = 1;

std::string Saved(double scored, const std::vector<Tally>& tallies) {
  SavedWriter writer;
  writer.I64(400);  // Steps decided for.
  writer.F64(scored);
  for (const Tally& tally : tallies) {
    writer.F64(tally.misses);
    writer.F64(tally.missing);
    writer.F64(tally.idle);
    LeadWindow(kOptions.lead_steps).Save(writer);
  }
  return std::move(writer).Finish();
}

size_t CheapestOf(double scored, const std::vector<Tally>& tallies) {
  const std::string saved = Saved(scored, tallies);
  SavedReader reader(saved);
  PolicyBank bank(kOptions);
  REQUIRE(bank.Restore(reader));
  return bank.Cheapest(kOwn);
}

bool Restores(double scored, const Tally& tally) {
  const std::string saved = Saved(scored, {tally, {}, {}});
  SavedReader reader(saved);
  return PolicyBank(kOptions).Restore(reader);
}

}  // namespace

TEST_CASE("the cheapest policy is as worked in the header") {
  const Tally own = {.misses = 1, .missing = 1, .idle = 200};                           // 2.433
  CHECK(CheapestOf(100, {{.misses = 2, .missing = 4, .idle = 150}, own, {}}) == 0);     // 2.020
  CHECK(CheapestOf(100, {{.misses = 2, .missing = 4, .idle = 191}, own, {}}) == 0);     // 2.430
  CHECK(CheapestOf(100, {{.misses = 2, .missing = 4, .idle = 192}, own, {}}) == kOwn);  // 2.440
}

TEST_CASE("what a policy promises to miss counts before it does") {
  // s = (0 + 2) / (0 + 1); own: 2 + 9 x 30 x .1 x 2 / 130 = 2.415; the other: + 9 x 6 / 160 = .338.
  CHECK(CheapestOf(100, {{.idle = 207}, {.idle = 200}, {}}) == 0);
  CHECK(CheapestOf(100, {{.idle = 208}, {.idle = 200}, {}}) == kOwn);
}

TEST_CASE("until a day is scored the given costs alone decide") {
  const std::vector<Tally> tallies = {{}, {.misses = 9, .missing = 90, .idle = 900}, {}};
  CHECK(CheapestOf(96, tallies) == kOwn);
  CHECK(CheapestOf(97, tallies) == 0);
}

TEST_CASE("tallies that cannot be are not restored") {
  CHECK(Restores(10, {.misses = 2, .missing = 2, .idle = 5}));
  CHECK_FALSE(Restores(10, {.misses = 11, .missing = 11}));
  CHECK_FALSE(Restores(10, {.misses = 2, .missing = 1}));
  CHECK_FALSE(Restores(10, {.missing = 2e6}));
  CHECK_FALSE(Restores(10, {.idle = -1}));
  CHECK_FALSE(Restores(10, {.idle = 2e6}));
  CHECK_FALSE(Restores(10, {.idle = std::numeric_limits<double>::quiet_NaN()}));
  CHECK_FALSE(Restores(std::numeric_limits<double>::infinity(), {}));
}

}  // namespace shadow
