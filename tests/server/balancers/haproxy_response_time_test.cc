#include "server/balancers/haproxy_response_time.h"

#include <catch2/catch.hpp>
#include <vector>

namespace shadow {
namespace {

using Reading = ResponseTimeSince::Reading;

// HAProxy's own arithmetic, in whole numbers.
class SlidingAverage {
 public:
  void Respond(int64_t ms) {
    ++responses_;
    if (responses_ > kWindow) sum_ -= (sum_ + kWindow - 1) / kWindow;
    sum_ += ms;
  }
  Reading Read() const {
    const int64_t n = std::min(responses_, kWindow);
    return {.responses = responses_, .average_ms = n == 0 ? 0 : (sum_ + n - 1) / n};
  }

 private:
  static constexpr int64_t kWindow = 512;
  int64_t responses_ = 0;
  int64_t sum_ = 0;
};

TEST_CASE("in a fresh slot twenty responses of 30 ms are 29.525 +- 0.475 ms") {
  ResponseTimeSince since(Reading{});
  CHECK_FALSE(since.Mean());
  since.Advance({.responses = 20, .average_ms = 30});
  REQUIRE(since.Mean());
  CHECK(since.Mean()->mean_ms == Approx(29.525));
  CHECK(since.Mean()->error_ms == Approx(0.475));
}

TEST_CASE("in a used slot a hundred responses of 50 ms are 49.4 +- 5.6 ms") {
  ResponseTimeSince since(Reading{.responses = 1000, .average_ms = 10});
  since.Advance({.responses = 1100, .average_ms = 17});
  REQUIRE(since.Mean());
  CHECK(since.Mean()->mean_ms == Approx(49.4).margin(0.05));
  CHECK(since.Mean()->error_ms == Approx(5.6).margin(0.05));
}

TEST_CASE("the truth is always within the error, whatever was there before") {
  for (const int64_t before : {0, 1, 100, 511, 512, 513, 5000}) {
    for (const int64_t old_ms : {0, 3, 200}) {
      for (const int64_t new_ms : {0, 1, 7, 90, 1000}) {
        SlidingAverage haproxy;
        for (int64_t i = 0; i < before; ++i) haproxy.Respond(old_ms);
        ResponseTimeSince since(haproxy.Read());
        for (int64_t i = 1; i <= 1500; ++i) {
          haproxy.Respond(new_ms);
          if (i % 20 != 0) continue;
          since.Advance(haproxy.Read());
          const auto mean = since.Mean();
          REQUIRE(mean);
          INFO(before << " of " << old_ms << " ms, then " << i << " of " << new_ms << " ms");
          REQUIRE(mean->mean_ms - mean->error_ms <= static_cast<double>(new_ms) + 1e-6);
          REQUIRE(mean->mean_ms + mean->error_ms >= static_cast<double>(new_ms) - 1e-6);
        }
        CHECK(since.Mean()->error_ms < 2);
      }
    }
  }
}

TEST_CASE("an answer that rounding makes useless is not given") {
  SlidingAverage haproxy;
  for (int i = 0; i < 2000; ++i) haproxy.Respond(10);
  ResponseTimeSince since(haproxy.Read());
  CHECK_FALSE(since.UsefulMeanMs());
  for (int i = 0; i < 5; ++i) haproxy.Respond(10);
  since.Advance(haproxy.Read());
  CHECK(since.Mean()->error_ms > 50);
  CHECK_FALSE(since.UsefulMeanMs());
  // The canary's default 20 are enough, just so.
  for (int i = 0; i < 15; ++i) haproxy.Respond(10);
  since.Advance(haproxy.Read());
  REQUIRE(since.UsefulMeanMs());
  CHECK(*since.UsefulMeanMs() == Approx(10).margin(30));
}

TEST_CASE("a slow instance is known by fewer responses") {
  SlidingAverage haproxy;
  for (int i = 0; i < 2000; ++i) haproxy.Respond(10);
  ResponseTimeSince since(haproxy.Read());
  for (int i = 0; i < 2; ++i) haproxy.Respond(3000);
  since.Advance(haproxy.Read());
  REQUIRE(since.UsefulMeanMs());
  CHECK(*since.UsefulMeanMs() == Approx(3000).margin(600));
}

TEST_CASE("an older reading changes nothing") {
  ResponseTimeSince since(Reading{});
  since.Advance({.responses = 20, .average_ms = 30});
  since.Advance({.responses = 10, .average_ms = 90});
  CHECK(since.Mean()->mean_ms == Approx(29.525));
}

}  // namespace
}  // namespace shadow
