// The gRPC server over a real store, with fakes behind the seams; as root or the daemon's user,
// tests are administrators.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/api/api_server.h"
#include "server/control_thread.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/one_provider.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {

// Serves from its constructor to its destructor; the control thread runs once Run was called.
class ApiWorld {
 public:
  explicit ApiWorld(
      const std::function<void(FakeProvider&)>& prepare = [](FakeProvider&) {},
      ApiServer::Options options = {.socket_path = ""})
      : store_(OpenStore(directory_.path())), adapters_(MakeAdapters(prepare)) {
    REQUIRE(loop_.Load(store_->Load().value(), clock_.Now()).ok());
    options.socket_path = socket_path();
    auto server = ApiServer::Start(api_, options);
    REQUIRE(server.status() == absl::OkStatus());
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel("unix:" + socket_path(), grpc::InsecureChannelCredentials());
  }
  ~ApiWorld() {
    server_->Shutdown();
    control_.Close();
    if (thread_.joinable()) thread_.join();
  }
  ApiWorld(const ApiWorld&) = delete;
  ApiWorld& operator=(const ApiWorld&) = delete;

  void Run() {
    thread_ = std::thread([this] { control_.Run(); });
  }

  std::string socket_path() const { return directory_.File("s"); }
  ApiServer& server() { return *server_; }
  ControlThread& control() { return control_; }

  struct Answer {
    grpc::Status status;
    std::string bytes;
  };
  // A call of one message, of whatever bytes.
  Answer Call(const std::string& method, const std::string& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(clock_.Now().wall + kPatience));
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    Answer answer;
    call->Finish(&response, &answer.status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    grpc::Slice bytes;
    if (answer.status.ok() && response.DumpToSingleSlice(&bytes).ok()) {
      answer.bytes.assign(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
    }
    return answer;
  }

 private:
  static Adapters MakeAdapters(const std::function<void(FakeProvider&)>& prepare) {
    Adapters adapters;
    auto provider = std::make_unique<FakeProvider>();
    prepare(*provider);
    adapters.providers = ProvidersOf(std::move(provider));
    adapters.prober = std::make_unique<FakeProber>();
    adapters.make_balancer = [](const v1::Pool&) { return nullptr; };
    adapters.make_usage_source = [](const v1::Pool&, const v1::UsageSource&) { return nullptr; };
    return adapters;
  }

  const TempDirectory directory_;
  const std::unique_ptr<Store> store_;
  SystemClock clock_;
  Adapters adapters_;
  ControlLoop loop_{ControlLoop::Options{}};
  EventHub hub_{0};
  ControlThread control_{loop_, *store_, adapters_, hub_, clock_, 2, [](const absl::Status&) {}};
  SimulationWorker simulations_;
  RequestLog requests_{clock_};
  ApiContext api_{control_,          *store_,          hub_, clock_, simulations_, requests_,
                  clock_.Now().wall, directory_.path()};
  std::unique_ptr<ApiServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::thread thread_;
};

}  // namespace shadow
