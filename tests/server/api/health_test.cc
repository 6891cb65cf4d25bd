// What gRPC's health check says while the daemon recovers.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/api/api_server.h"
#include "server/balancers/none_balancer.h"
#include "server/control_thread.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// grpc.health.v1.HealthCheckResponse.status of the whole server: 1 SERVING, 2 NOT_SERVING; -1: no
// answer. By hand: its generated stub is in no package.
int Health(const std::string& socket_path) {
  const auto channel =
      grpc::CreateChannel("unix:" + socket_path, grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const SystemClock clock;
  context.set_deadline(absl::ToChronoTime(clock.Now().wall + kPatience));
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  grpc::Slice answer;
  if (!status.ok() || !response.DumpToSingleSlice(&answer).ok()) return -1;
  // Field 1, a varint.
  return answer.size() == 2 && answer.begin()[0] == 8 ? answer.begin()[1] : -1;
}

TEST_CASE("health is NOT_SERVING until every provider has listed what lives") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  SystemClock clock;
  Adapters adapters;
  auto provider = std::make_unique<FakeProvider>();
  provider->Fail(FakeProvider::Verb::kList, "", absl::UnavailableError("not yet"));
  adapters.providers["process"] = std::move(provider);
  adapters.prober = std::make_unique<FakeProber>();
  adapters.make_balancer = [](const v1::Balancer&) { return std::make_unique<NoneBalancer>(); };
  adapters.make_usage_source = [](const v1::UsageSource&) { return nullptr; };
  ControlLoop loop({});
  REQUIRE(loop.Load(store->Load().value(), clock.Now()).ok());
  EventHub hub(0);
  ControlThread control(loop, *store, adapters, hub, clock, 2, [](const absl::Status&) {});
  SimulationWorker simulations;
  ApiContext api{control, *store, hub, adapters, clock, simulations, clock.Now().wall};
  const std::string socket_path = directory.File("s");
  auto server = ApiServer::Start(
      api, {.socket_path = socket_path, .admin_uids = {}, .enable_reflection = false});
  REQUIRE(server.ok());
  CHECK(Health(socket_path) == 2);

  // The daemon makes it SERVING once the snapshot is recovered (daemon.cc).
  std::thread control_thread([&control] { control.Run(); });
  CHECK(PollUntil(kPatience, [&] { return control.snapshot()->revision > 0; }));
  CHECK_FALSE(control.snapshot()->recovered);
  CHECK(Health(socket_path) == 2);
  CHECK(PollUntil(kPatience, [&] { return control.snapshot()->recovered; }));
  CHECK(Health(socket_path) == 2);
  (*server)->SetServing(true);
  CHECK(Health(socket_path) == 1);
  (*server)->SetServing(false);
  CHECK(Health(socket_path) == 2);
  (*server)->Shutdown();
  control.Close();
  control_thread.join();
}

}  // namespace
}  // namespace shadow
