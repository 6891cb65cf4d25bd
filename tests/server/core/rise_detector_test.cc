#include "server/core/rise_detector.h"

#include <catch2/catch.hpp>

namespace shadow {

TEST_CASE("a mean of 20 ms: 45 ms is a rise, 38 ms is none") {
  RiseDetector slow;
  slow.Update(std::nullopt, 20);
  CHECK_FALSE(slow.rising());
  slow.Update(std::nullopt, 45);
  CHECK(slow.rising());
  RiseDetector steady;
  steady.Update(std::nullopt, 20);
  steady.Update(std::nullopt, 38);
  CHECK_FALSE(steady.rising());
}

TEST_CASE("errors rise above twice their mean and the floor") {
  RiseDetector detector;
  detector.Update(0.1, std::nullopt);
  CHECK_FALSE(detector.rising());
  detector.Update(0.21, std::nullopt);  // Twice the mean of 0.1 is 0.2.
  CHECK(detector.rising());
  RiseDetector first;
  first.Update(5, std::nullopt);
  CHECK(first.rising());
}

TEST_CASE("a missing reading changes nothing, and a lasting level becomes the normal one") {
  RiseDetector detector;
  detector.Update(0.0, 20);
  detector.Update(std::nullopt, 60);
  CHECK(detector.rising());
  detector.Update(std::nullopt, std::nullopt);
  CHECK(detector.rising());
  for (int i = 0; i < 30; ++i) detector.Update(std::nullopt, 60);
  CHECK_FALSE(detector.rising());
}

TEST_CASE("a detector goes on from the state of another") {
  RiseDetector first;
  first.Update(0.0, 20);
  first.Update(0.5, 60);
  RiseDetector second(first.state());
  CHECK(second.rising());
  for (const double response : {30.0, 70.0, 26.0}) {
    first.Update(std::nullopt, response);
    second.Update(std::nullopt, response);
    CHECK(second.rising() == first.rising());
    CHECK(second.state().response_mean == first.state().response_mean);
  }
}

}  // namespace shadow
