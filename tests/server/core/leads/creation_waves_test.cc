// A rise by more than may be created at one time begins earlier.
#include "server/core/leads/creation_waves.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

constexpr CreationPace kPace{.provisioning_lead = absl::Minutes(5),
                             .activation_lead = absl::ZeroDuration(),
                             .step = absl::Minutes(5),
                             .creations_max = 2};

int Early(const std::vector<int>& needs, const CreationPace& pace = kPace) {
  return EarlyRise(needs, absl::ZeroDuration(), pace);
}

}  // namespace

TEST_CASE("a rise within what can be created at one time takes nothing early") {
  CHECK(Early({}) == 0);
  CHECK(Early({5, 5, 5, 5}) == 0);
  CHECK(Early({1, 1, 3, 5, 7, 9}) == 0);
  CHECK(Early({9, 1, 1, 1}) == 0);
}

TEST_CASE("a rise of three waves begins as many leads before it") {
  CHECK(Early({1, 1, 1, 1, 7, 7}) == 0);  // In 20 min: 3 waves after the next decision.
  CHECK(Early({1, 1, 1, 7, 7}) == 2);
  CHECK(Early({3, 3, 7, 7}) == 2);
  CHECK(Early({7, 7, 7}) == 0);  // The plan itself has it.
}

TEST_CASE("the activation lead comes on top, and a step may hold several waves") {
  CreationPace pace = kPace;
  pace.activation_lead = absl::Minutes(5);
  CHECK(Early({1, 1, 1, 1, 7, 7}, pace) == 2);
  pace = kPace;
  pace.provisioning_lead = absl::Minutes(1);
  CHECK(Early({1, 1, 11}, pace) == 0);  // Five waves in the step before it.
  CHECK(Early({1, 1, 14}, pace) == 3);
  CHECK(Early({1, 14, 14}, pace) == 0);  // The plan has it, as it counts whole steps.
  pace.planned = absl::Minutes(10);
  CHECK(Early({1, 1, 14}, pace) == 0);
}

}  // namespace shadow
