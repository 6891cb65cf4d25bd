// What is learned from how long instances took.
#include "server/core/leads/learned_lead.h"

#include <catch2/catch.hpp>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr absl::Duration kPrior = absl::Seconds(2);

// Of one pool, in seconds.
struct Lead {
  v1::LearnedLead learned = {};
  absl::Time now = absl::FromUnixSeconds(1'780'000'000);

  void Took(double seconds, absl::Duration after = absl::Hours(1)) {
    now += after;
    NoteLead(learned, now, absl::Seconds(seconds));
  }
  void Times(int times, double seconds, absl::Duration after = absl::Hours(1)) {
    for (int i = 0; i < times; ++i) Took(seconds, after);
  }
  double Is() const { return absl::ToDoubleSeconds(LeadFrom(learned, kPrior)); }
};

}  // namespace

TEST_CASE("the default is the lead until something was measured, and then it is what was") {
  Lead lead;
  CHECK(lead.Is() == 2);
  lead.Took(600);  // Weights 1 and 0.42: half of all is 0.71, which 600 s passes alone.
  CHECK(lead.Is() == 600);
}

TEST_CASE("a measured zero is not the same as nothing measured") {
  Lead lead;
  lead.Times(3, 0);
  CHECK(lead.Is() == 0);
}

TEST_CASE("one burst that took long lengthens the lead by half at most") {
  Lead lead;
  lead.Times(6, 10);
  CHECK(lead.Is() == 10);
  lead.Took(60);  // Weight 1 of a burst, 1.5 are asked for: 10 is usual, 15 the most.
  CHECK(lead.Is() == 15);
}

TEST_CASE("a bad minute is gone from the lead within a day of normal ones") {
  Lead lead;
  lead.Times(20, 10);
  lead.Took(60);
  CHECK(lead.Is() == 15);
  lead.Took(10, absl::Minutes(1));
  CHECK(lead.Is() == 15);
  lead.Took(10, absl::Hours(1));
  CHECK(lead.Is() == 15);
  lead.Times(23, 10);
  CHECK(lead.Is() == 10);
}

TEST_CASE("a lasting change from 10 s to 60 s is followed with the second burst") {
  Lead lead;
  lead.Times(20, 10);
  lead.Took(60);
  CHECK(lead.Is() == 15);
  lead.Took(60);  // Weights 1 and 0.84.
  CHECK(lead.Is() == 60);
}

TEST_CASE("a lasting change from 60 s to 10 s is followed within ten bursts") {
  Lead lead;
  lead.Times(20, 60);
  lead.Times(10, 10);
  CHECK(lead.Is() <= 15);
  lead.Times(6, 10);
  CHECK(lead.Is() == 10);
}

TEST_CASE("two bad bursts in a row are forgotten after two good ones") {
  Lead lead;
  lead.Times(20, 10);
  lead.Times(2, 60);
  CHECK(lead.Is() == 60);
  lead.Times(2, 10);  // 0.71 + 0.59 < 1.5.
  CHECK(lead.Is() == 15);
}

TEST_CASE("ten instances of one burst are one observation") {
  Lead lead;
  lead.Times(6, 10);
  lead.Took(60);
  lead.Times(9, 60, absl::Seconds(5));
  CHECK(lead.Is() == 15);
  CHECK(lead.learned.bursts_size() == 7);
}

TEST_CASE("a straggler of a burst that was fast does not count for more than its share") {
  Lead lead;
  lead.Took(10);
  for (int i = 0; i < 6; ++i) lead.Took(10, absl::ZeroDuration());
  lead.Took(60, absl::ZeroDuration());
  CHECK(lead.Is() == 15);
}

TEST_CASE("values of a burst keep their spread when it is full") {
  Lead lead;
  for (int i = 1; i <= 9; ++i) lead.Took(i, absl::ZeroDuration());
  REQUIRE(lead.learned.bursts_size() == 1);
  const auto& took = lead.learned.bursts(0).took();
  REQUIRE(took.size() == 5);
  for (int i = 0; i < 5; ++i) CHECK(FromProto(took[i]) == absl::Seconds(1 + 2 * i));
}

TEST_CASE("what is kept has a bound") {
  Lead lead;
  for (int i = 0; i < 1000; ++i) lead.Took(i % 100, absl::Seconds(7));
  CHECK(lead.learned.bursts_size() == kBurstsMax);
  for (const auto& burst : lead.learned.bursts()) CHECK(burst.took_size() <= kBurstValuesMax);
}

TEST_CASE("one outlier is no lead of a pool that wakes its instances once a week either") {
  Lead lead;
  lead.Times(10, 10, absl::Hours(24 * 7));
  lead.Took(60, absl::Hours(24 * 7));
  CHECK(lead.Is() == 15);
}

TEST_CASE("older bursts count for less by their age too") {
  Lead lead;
  lead.Times(2, 60);
  lead.Took(10, absl::Hours(24 * 28));  // 60 s: (0.84 + 0.71) / 2 of a burst, a gap of 14 days.
  CHECK(lead.Is() == 10 * kOutlierFactor);
  Lead soon;
  soon.Times(2, 60);
  soon.Took(10);
  CHECK(soon.Is() == 60);
}

TEST_CASE("a clock that jumps does no harm") {
  for (const absl::Duration jump : {absl::Hours(24 * 365), -absl::Hours(24 * 365)}) {
    INFO(absl::FormatDuration(jump));
    Lead lead;
    lead.Times(8, 10);
    lead.now += jump;
    lead.Took(10);
    CHECK(lead.Is() == 10);
    lead.Took(60);
    CHECK(lead.Is() == 15);
    lead.now -= jump;
    lead.Took(10);
    CHECK(lead.Is() == 15);
  }
  Lead lead;
  lead.Took(10);
  NoteLead(lead.learned, lead.now, -absl::Seconds(5));
  NoteLead(lead.learned, lead.now, absl::Hours(25));
  NoteLead(lead.learned, lead.now, absl::InfiniteDuration());
  CHECK(lead.learned.bursts(0).took_size() == 1);
}

TEST_CASE("what older daemons recorded is read as bursts of an unknown time") {
  google::protobuf::RepeatedPtrField<google::protobuf::Duration> values;
  CHECK(LearnedFrom(values).bursts().empty());
  for (int i = 0; i < 64; ++i) *values.Add() = ToProto(absl::Seconds(i == 60 ? 60 : 10));
  Lead lead{.learned = LearnedFrom(values)};
  CHECK(lead.learned.bursts_size() == kBurstsMax);
  CHECK_FALSE(lead.learned.bursts(0).has_begin_time());
  CHECK(lead.Is() == 15);  // The maximum of the last 19 was 60.
  lead.Took(10);
  CHECK(lead.learned.bursts_size() == kBurstsMax);
}

}  // namespace shadow
