#include <catch2/catch.hpp>

#include "server/usage/haproxy_usage.h"
#include "tests/fakes/fake_usage_source.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/server/usage/usage_source_conformance.h"

namespace shadow {
namespace {

TEST_CASE("the fake usage source keeps the contract") {
  SystemClock clock;
  FakeUsageSource source;
  CheckUsageSource({.source = source,
                    .clock = clock,
                    .demand = [&] { source.Push("web", clock.Now().wall, 7); },
                    .lose = [&] { source.SetError(absl::UnavailableError("gone")); }});
}

TEST_CASE("the HAProxy usage source keeps the contract") {
  SystemClock clock;
  HttpOrigin base("base");
  HaproxyProcess haproxy({.base_server = base.address()});
  HttpClient client(haproxy.frontend_port());
  v1::HaproxyUsage spec;
  spec.set_socket_path(haproxy.socket_path());
  spec.set_frontend("front");
  HaproxyUsage source(spec, clock);
  CheckUsageSource({.source = source,
                    .clock = clock,
                    .demand = [&] { REQUIRE(client.Get("/")); },
                    .lose = [&] { haproxy.Stop(); }});
}

}  // namespace
}  // namespace shadow
