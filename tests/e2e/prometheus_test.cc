// Demand from Debian's real Prometheus and node exporter: two pools and one server, which goes away
// and comes back. Skipped where they are not installed.
#include <utility>

#include "server/core/clock.h"
#include "server/core/time_proto.h"
#include "server/usage/prometheus_usage.h"
#include "tests/e2e/shadow_world.h"
#include "tests/server/usage/prometheus_process.h"

namespace shadow {
namespace {

// Whether it is not; says so.
bool LacksPrometheus() {
  if (PrometheusInstalled()) return false;
  WARN("skipped: prometheus or prometheus-node-exporter is not installed");
  return true;
}

v1::PrometheusUsage QueryOf(const PrometheusWithExporter& world, const std::string& query) {
  v1::PrometheusUsage spec;
  spec.set_url(world.url());
  spec.set_query(query);
  spec.mutable_backfill()->set_seconds(60);
  return spec;
}

// Of the first reading with a sample.
double FirstValue(PrometheusUsage& source) {
  double value = -1;
  absl::Status last;
  const bool came = PollUntil(kPatience, [&] {
    const auto reading = source.Read("pools/web", absl::InfinitePast());
    last = reading.status();
    if (!reading.ok() || reading->samples.empty()) return false;
    value = reading->samples.back().value();
    return true;
  });
  INFO(last);
  REQUIRE(came);
  return value;
}

TEST_CASE("a real Prometheus answers queries as its API is read") {
  if (LacksPrometheus()) return;
  PrometheusWithExporter world;
  SystemClock clock;
  PrometheusUsage up(QueryOf(world, "up{job=\"node\"} == 1"), absl::Seconds(1), clock);
  CHECK(FirstValue(up) == 1);
  // Both targets were scraped.
  PrometheusUsage both(QueryOf(world, "count(up) == 2"), absl::Seconds(1), clock);
  CHECK(FirstValue(both) == 2);

  const struct {
    const char* query;
    absl::StatusCode code;
    const char* words;
  } cases[] = {
      {"no_such_metric", absl::StatusCode::kOk, ""},
      {"up{job=\"node\"} / 0", absl::StatusCode::kOk, ""},
      {"0 * up{job=\"node\"} / 0", absl::StatusCode::kOk, ""},
      {"-up{job=\"node\"}", absl::StatusCode::kFailedPrecondition, "below zero"},
      {"up", absl::StatusCode::kFailedPrecondition, "2 series came"},
      {"up[1m]", absl::StatusCode::kFailedPrecondition, ""},
      {"sum(", absl::StatusCode::kFailedPrecondition, "parse error"},
      {"\"text\"", absl::StatusCode::kFailedPrecondition, "string"},
  };
  for (const auto& c : cases) {
    INFO(c.query);
    const auto reading = PrometheusUsage(QueryOf(world, c.query), absl::Seconds(1), clock)
                             .Read("pools/web", clock.Now().wall - absl::Milliseconds(100));
    INFO(reading.status());
    CHECK(reading.status().code() == c.code);
    CHECK_THAT(std::string(reading.status().message()), Catch::Contains(c.words));
    if (reading.ok()) CHECK(reading->samples.empty());
  }
}

TEST_CASE("a real target is scraped without a server") {
  if (LacksPrometheus()) return;
  PrometheusWithExporter world;
  SystemClock clock;
  v1::PrometheusUsage spec;
  spec.set_url(world.exporter_url());
  spec.mutable_scrape()->set_metric("node_load1");
  PrometheusUsage load(spec, absl::Seconds(1), clock);
  CHECK(FirstValue(load) >= 0);
  spec.mutable_scrape()->set_metric("promhttp_metric_handler_requests_total");
  (*spec.mutable_scrape()->mutable_labels())["code"] = "200";
  PrometheusUsage requests(spec, absl::Seconds(1), clock);
  CHECK(FirstValue(requests) >= 0);
}

// An OBSERVE pool without instances, whose demand is that query.
v1::Pool WatchingPool(const std::string& name, const v1::PrometheusUsage& spec) {
  v1::Pool pool;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      R"(dna: "dnas/web" step { seconds: 1 } season_lengths { seconds: 20 } external_capacity: 50
         instance_capacity: 50 policy { activation_interval { nanos: 500000000 }
         usage_max_age { seconds: 3 } })",
      &pool));
  pool.set_name(name);
  *pool.add_usage_sources()->mutable_prometheus() = spec;
  return pool;
}

TEST_CASE("two pools read one real Prometheus, which goes away and comes back") {
  if (LacksPrometheus()) return;
  PrometheusWithExporter prometheus;
  ShadowWorld world({.base_instances = 0, .haproxy = false}, /*create=*/false);
  world.CreateDna();
  for (const auto& [name, query] : {std::pair("pools/one", "1 + 0 * sum(up{job=\"node\"})"),
                                    std::pair("pools/two", "2 + 0 * sum(up{job=\"self\"})")}) {
    v1::CreatePoolRequest request;
    *request.mutable_pool() = WatchingPool(name, QueryOf(prometheus, query));
    const auto created =
        DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::CreatePool, request);
    INFO(created.status());
    REQUIRE(created.ok());
  }
  const auto fresh = [&](const std::string& name) {
    v1::GetPoolRequest request;
    request.set_name(name);
    const auto pool =
        DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::GetPool, request);
    if (!pool.ok()) return false;
    for (const v1::Condition& condition : pool->conditions()) {
      if (condition.type() == "UsageFresh") return condition.status() == v1::Condition::TRUE;
    }
    return false;
  };
  const auto both = [&](bool wanted) {
    return PollUntil(kPatience,
                     [&] { return fresh("pools/one") == wanted && fresh("pools/two") == wanted; });
  };
  CHECK(both(true));
  prometheus.server().Pause();
  CHECK(both(false));
  prometheus.server().Continue();
  CHECK(both(true));
  prometheus.server().Kill();
  CHECK(both(false));
  prometheus.server().Start();
  CHECK(both(true));
}

}  // namespace
}  // namespace shadow
