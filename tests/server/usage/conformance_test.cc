// What every UsageSource keeps to; the fake and the real ones pass the same cases.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <tuple>

#include "absl/strings/str_format.h"
#include "server/core/time_proto.h"
#include "server/usage/cgroup_usage.h"
#include "server/usage/haproxy_usage.h"
#include "server/usage/prometheus_usage.h"
#include "tests/fakes/fake_usage_source.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/usage/cgroup_files.h"
#include "tests/server/usage/scripted_http.h"

namespace shadow {
namespace {

// A new source and what it reads. `Demand` makes demand, so that a read soon after can have a
// sample of it. After `Lose` nobody can be asked; between `Hang` and `GoOn` nobody answers.
class FakeWorld {
 public:
  UsageSource& source() { return source_; }
  absl::Time Now() const { return clock_.Now().wall; }
  void Demand() { source_.Push("pools/web", Now(), 7); }
  void Lose() { source_.SetError(absl::UnavailableError("gone")); }
  void Hang() { source_.SetError(absl::DeadlineExceededError("no answer within 2s")); }
  void GoOn() { source_.SetError(absl::OkStatus()); }

 private:
  SystemClock clock_;
  FakeUsageSource source_;
};

class HaproxyWorld {
 public:
  UsageSource& source() { return source_; }
  absl::Time Now() const { return clock_.Now().wall; }
  void Demand() { REQUIRE(client_.Get("/")); }
  void Lose() { haproxy_.Stop(); }
  void Hang() { haproxy_.Pause(); }
  void GoOn() { haproxy_.Continue(); }

 private:
  v1::HaproxyUsage Spec() const {
    v1::HaproxyUsage spec;
    spec.set_socket_path(haproxy_.socket_path());
    spec.set_frontend("front");
    return spec;
  }

  SystemClock clock_;
  HttpOrigin base_{"base"};
  HaproxyProcess haproxy_{{.base_server = base_.address()}};
  HttpClient client_{haproxy_.frontend_port()};
  HaproxyUsage source_{Spec(), clock_};
};

// A server that knows nothing before there is demand.
class PrometheusWorld {
 public:
  UsageSource& source() { return source_; }
  absl::Time Now() const { return clock_.Now().wall; }
  void Demand() { demanded_ = true; }
  void Lose() { http_.Stop(); }
  void Hang() { http_.SetFrozen(true); }
  void GoOn() { http_.SetFrozen(false); }

 private:
  std::string Reply() const {
    std::string result;
    if (demanded_) {
      result = absl::StrFormat(R"({"metric":{},"value":[%.3f,"7"]})",
                               static_cast<double>(absl::ToUnixMillis(Now())) / 1000);
    }
    return RawReply(
        200, R"({"status":"success","data":{"resultType":"vector","result":[)" + result + "]}}");
  }
  v1::PrometheusUsage Spec() const {
    v1::PrometheusUsage spec;
    spec.set_url(http_.url());
    spec.set_query("demand");
    return spec;
  }

  SystemClock clock_;
  std::atomic<bool> demanded_ = false;
  ScriptedHttp http_{[this](const std::string&) { return Reply(); }};
  PrometheusUsage source_{Spec(), absl::Minutes(1), clock_};
};

// A target with a counter.
class ScrapedWorld {
 public:
  UsageSource& source() { return source_; }
  absl::Time Now() const { return clock_.Now().wall; }
  void Demand() { ++count_; }
  void Lose() { http_.Stop(); }
  void Hang() { http_.SetFrozen(true); }
  void GoOn() { http_.SetFrozen(false); }

 private:
  v1::PrometheusUsage Spec() const {
    v1::PrometheusUsage spec;
    spec.set_url(http_.url() + "/metrics");
    spec.mutable_scrape()->set_metric("requests_total");
    return spec;
  }

  SystemClock clock_;
  std::atomic<int> count_ = 0;
  ScriptedHttp http_{[this](const std::string&) {
    return RawReply(
        200, "# TYPE requests_total counter\nrequests_total " + std::to_string(count_) + "\n");
  }};
  PrometheusUsage source_{Spec(), absl::Minutes(1), clock_};
};

class CgroupWorld {
 public:
  static constexpr bool kNeverHangs = true;  // Files of the kernel.

  CgroupWorld() { files_.WriteCpu(micros_); }
  UsageSource& source() { return source_; }
  absl::Time Now() const { return clock_.Now().wall; }
  void Demand() { files_.WriteCpu(micros_ += 100'000); }
  void Lose() { files_.Remove(); }
  void Hang() {}
  void GoOn() {}

 private:
  SystemClock clock_;
  CgroupFiles files_;
  int64_t micros_ = 1'000'000;
  CgroupUsage source_{v1::CgroupUsage::CPU, files_.path(), clock_};
};

// A new usage source is one more here.
using Worlds = std::tuple<FakeWorld, HaproxyWorld, PrometheusWorld, ScrapedWorld, CgroupWorld>;

absl::StatusOr<UsageReading> Read(UsageSource& source, absl::Time since) {
  return source.Read("pools/web", since);
}

TEMPLATE_LIST_TEST_CASE("what a usage source does not know yet is empty, not zero", "", Worlds) {
  TestType world;
  CHECK_FALSE(world.source().peer().empty());
  const auto reading = Read(world.source(), absl::InfinitePast());
  REQUIRE(reading.ok());
  CHECK(reading->samples.empty());
}

TEMPLATE_LIST_TEST_CASE("samples come once, after `since`, ascending, and are sane", "", Worlds) {
  TestType world;
  absl::Time since = world.Now();
  REQUIRE(Read(world.source(), since).ok());
  double most = 0;
  int seen = 0;
  REQUIRE(PollUntil(kPatience, [&] {
    world.Demand();
    const auto reading = Read(world.source(), since);
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

TEMPLATE_LIST_TEST_CASE("nothing comes that is not after `since`", "", Worlds) {
  TestType world;
  const absl::Time future = world.Now() + absl::Hours(1);
  for (int i = 0; i < 3; ++i) {
    world.Demand();
    const auto reading = Read(world.source(), future);
    REQUIRE(reading.ok());
    CHECK(reading->samples.empty());
  }
}

TEMPLATE_LIST_TEST_CASE("a usage source that cannot be asked is an error", "", Worlds) {
  TestType world;
  world.Lose();
  CHECK_FALSE(Read(world.source(), absl::InfinitePast()).ok());
}

TEMPLATE_LIST_TEST_CASE("a usage source that hangs is an error, until it answers again", "",
                        Worlds) {
  if constexpr (requires { TestType::kNeverHangs; }) return;
  TestType world;
  world.Hang();
  const auto hung = Read(world.source(), absl::InfinitePast());
  world.GoOn();
  CHECK(absl::IsDeadlineExceeded(hung.status()));
  CHECK(PollUntil(kPatience, [&] { return Read(world.source(), absl::InfinitePast()).ok(); }));
}

}  // namespace
}  // namespace shadow
