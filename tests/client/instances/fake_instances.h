// The InstanceService of the fake daemon.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>

#include "shadow/v1/instance_service.grpc.pb.h"
#include "tests/client/fake_calls.h"
#include "tests/client/fake_daemon.h"

namespace shadow {

// Of `state.instances` and `state.logs`.
class FakeInstances final : public v1::InstanceService::Service {
 public:
  explicit FakeInstances(DaemonState& state) : state_(state) {}

  // One that is being restarted is gone after `gets_until_settled` calls.
  grpc::Status GetInstance(grpc::ServerContext*, const v1::GetInstanceRequest* request,
                           v1::Instance* instance) override {
    if (grpc::Status s = Begin(state_, "GetInstance"); !s.ok()) return s;
    const auto it = FindInstance(request->name());
    if (it == state_.instances.end()) return Missing(request->name());
    if (it->restarting() && state_.gets_until_settled > 0 && --state_.gets_until_settled == 0) {
      state_.instances.erase(it);
      return Missing(request->name());
    }
    *instance = *it;
    return grpc::Status::OK;
  }
  grpc::Status RestartInstance(grpc::ServerContext*, const v1::RestartInstanceRequest* request,
                               v1::Instance* instance) override {
    return Mutate("RestartInstance", *request, instance,
                  [](v1::Instance& one) { one.set_restarting(true); });
  }
  grpc::Status CordonInstance(grpc::ServerContext*, const v1::CordonInstanceRequest* request,
                              v1::Instance* instance) override {
    return Mutate("CordonInstance", *request, instance,
                  [](v1::Instance& one) { one.set_cordoned(true); });
  }
  grpc::Status UncordonInstance(grpc::ServerContext*, const v1::UncordonInstanceRequest* request,
                                v1::Instance* instance) override {
    return Mutate("UncordonInstance", *request, instance,
                  [](v1::Instance& one) { one.set_cordoned(false); });
  }
  grpc::Status StreamInstanceLog(grpc::ServerContext*, const v1::StreamInstanceLogRequest* request,
                                 grpc::ServerWriter<v1::InstanceLogChunk>* writer) override {
    state_.stream_log = *request;
    if (grpc::Status s = Begin(state_, "StreamInstanceLog " + request->name()); !s.ok()) return s;
    const auto it = state_.logs.find(request->name());
    if (it == state_.logs.end()) return Missing(request->name());
    for (const v1::InstanceLogChunk& chunk : it->second) writer->Write(chunk);
    return grpc::Status::OK;
  }

 private:
  std::vector<v1::Instance>::iterator FindInstance(const std::string& name) {
    return std::find_if(state_.instances.begin(), state_.instances.end(),
                        [&](const v1::Instance& one) { return one.name() == name; });
  }

  template <typename Request, typename Change>
  grpc::Status Mutate(const char* call, const Request& request, v1::Instance* answer,
                      const Change& change) {
    if (grpc::Status s = BeginMutation(state_, call, request); !s.ok()) return s;
    const auto it = FindInstance(request.name());
    if (it == state_.instances.end()) return Missing(request.name());
    *answer = *it;
    change(*answer);
    if (!request.validate_only()) *it = *answer;
    return grpc::Status::OK;
  }

  DaemonState& state_;
};

}  // namespace shadow
