#include "server/core/time_proto.h"

#include <catch2/catch.hpp>

namespace shadow {

TEST_CASE("times and durations survive the way to protobuf and back, to the nanosecond") {
  for (const absl::Time time : {absl::UnixEpoch(), absl::FromUnixNanos(1), absl::FromUnixNanos(-1),
                                absl::FromUnixNanos(1'700'000'000'123'456'789)}) {
    CHECK(FromProto(ToProto(time)) == time);
  }
  for (const absl::Duration duration :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Nanoseconds(-1),
        absl::Milliseconds(-1500), absl::Hours(24 * 35) + absl::Nanoseconds(7)}) {
    CHECK(FromProto(ToProto(duration)) == duration);
  }
}

TEST_CASE("nanoseconds have the sign that protobuf asks for") {
  CHECK(ToProto(absl::FromUnixNanos(-1)).seconds() == -1);
  CHECK(ToProto(absl::FromUnixNanos(-1)).nanos() == 999'999'999);
  CHECK(ToProto(absl::Milliseconds(-1500)).seconds() == -1);
  CHECK(ToProto(absl::Milliseconds(-1500)).nanos() == -500'000'000);
}

TEST_CASE("infinite values are clamped to what protobuf can hold") {
  CHECK(ToProto(absl::InfiniteFuture()).seconds() == 253'402'300'799);
  CHECK(ToProto(absl::InfinitePast()).seconds() == -62'135'596'800);
  CHECK(ToProto(absl::InfiniteDuration()).seconds() == 315'576'000'000);
  CHECK(ToProto(-absl::InfiniteDuration()).seconds() == -315'576'000'000);
}

}  // namespace shadow
