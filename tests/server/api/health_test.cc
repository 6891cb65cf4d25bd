// What gRPC's health check says while the daemon recovers.
#include "tests/fakes/poll.h"
#include "tests/server/api/api_world.h"

namespace shadow {
namespace {

// grpc.health.v1.HealthCheckResponse.status of the whole server: 1 SERVING, 2 NOT_SERVING; -1: no
// answer. By hand: its generated stub is in no package.
int Health(ApiWorld& world) {
  const std::string bytes = world.Call("/grpc.health.v1.Health/Check", "").bytes;
  // Field 1, a varint.
  return bytes.size() == 2 && bytes[0] == 8 ? bytes[1] : -1;
}

TEST_CASE("health is NOT_SERVING until the daemon is ready") {
  ApiWorld world([](FakeProvider&) {});
  CHECK(Health(world) == 2);
  ControlThread& control = world.control();
  CHECK_FALSE(control.snapshot()->recovered);

  // The daemon makes it SERVING once the snapshot is recovered (daemon.cc).
  world.Run();
  CHECK(PollUntil(kPatience, [&] { return control.snapshot()->recovered; }));
  CHECK(Health(world) == 2);
  world.server().SetServing(true);
  CHECK(Health(world) == 1);
  world.server().SetServing(false);
  CHECK(Health(world) == 2);
}

}  // namespace
}  // namespace shadow
