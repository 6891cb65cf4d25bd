// HAProxy reloads while it serves, with its state dumped before, as haproxy-state.conf does.
#include "tests/e2e/shadow_world.h"

namespace shadow {
namespace {

TEST_CASE("reloads of HAProxy fail none of 400 requests where shadowctl dumps its state before") {
  ShadowWorld world({.base_instances = 2, .haproxy_keeps_state = true});
  const HttpLoad::Options options{
      .port = world.haproxy().frontend_port(), .clients = 8, .requests_per_second = 100};
  HttpLoad load(options);
  constexpr int kReloads = 3;
  constexpr int64_t kRequests = 400;
  for (int reload = 1; reload <= kReloads; ++reload) {
    PollUntil(ShadowWorld::kPatience, [&] { return load.answered() >= kRequests * reload / 4; });
    world.haproxy().Reload();
  }
  CHECK(PollUntil(ShadowWorld::kPatience, [&] { return load.answered() >= kRequests; }));
  ExpectNoFailure(load);
}

}  // namespace
}  // namespace shadow
