#include "tests/server/usage/usage_source_conformance.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "server/core/time_proto.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

constexpr const char* kPool = "web";

}  // namespace

void CheckUsageSource(const UsageCase& subject) {
  UsageSource& source = subject.source;
  SECTION("what is not known yet is empty, not zero") {
    const auto reading = source.Read(kPool, absl::InfinitePast());
    REQUIRE(reading.ok());
    CHECK(reading->samples.empty());
  }
  SECTION("samples come once, after `since`, ascending, and are sane") {
    absl::Time since = subject.clock.Now().wall;
    REQUIRE(source.Read(kPool, since).ok());
    double most = 0;
    int seen = 0;
    REQUIRE(PollUntil(kPatience, [&] {
      subject.demand();
      const auto reading = source.Read(kPool, since);
      REQUIRE(reading.ok());
      for (const v1::Sample& sample : reading->samples) {
        REQUIRE(FromProto(sample.time()) > since);
        REQUIRE(std::isfinite(sample.value()));
        REQUIRE(sample.value() >= 0);
        since = FromProto(sample.time());
        most = std::max(most, sample.value());
        ++seen;
      }
      return seen >= 3;
    }));
    CHECK(most > 0);
  }
  SECTION("nothing comes that is not after `since`") {
    const absl::Time future = subject.clock.Now().wall + absl::Hours(1);
    for (int i = 0; i < 3; ++i) {
      subject.demand();
      const auto reading = source.Read(kPool, future);
      REQUIRE(reading.ok());
      CHECK(reading->samples.empty());
    }
  }
  SECTION("a source that cannot be asked is an error") {
    subject.lose();
    CHECK_FALSE(source.Read(kPool, absl::InfinitePast()).ok());
  }
}

}  // namespace shadow
