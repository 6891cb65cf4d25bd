// Requests through the API, one after the other, in the simulation's world: whatever is asked, the
// loop holds its own checks, what it stores is UTF-8 and loads again, and traffic is not misled.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/core/simulation/compiled_replay.h"
#include "shadow/v1/event.pb.h"
#include "tests/fakes/simulation.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/messages.h"

namespace shadow {
namespace {

constexpr int kInstancesMax = 6;  // Of a pool, and of a shadow: enough for everything to happen.
constexpr int kRequestsMax = 24;
constexpr size_t kHeaderBytes = 3;  // What is asked, and how many bytes it has.

// A world of thousands only takes longer.
void KeepSmall(v1::Pool& pool) {
  if (pool.managed_instances() > kInstancesMax) pool.set_managed_instances(kInstancesMax);
  v1::Policy& policy = *pool.mutable_policy();
  const bool keeps = policy.has_max_shadow_instances() && policy.max_shadow_instances() < 1;
  if (!keeps) policy.set_max_shadow_instances(kInstancesMax);
  for (v1::BoundsOverride& one : *policy.mutable_overrides()) {
    if (one.max_shadow_instances() > kInstancesMax) one.set_max_shadow_instances(kInstancesMax);
    if (one.min_shadow_instances() > kInstancesMax) one.set_min_shadow_instances(kInstancesMax);
  }
}

template <typename Message>
void KeepRequestSmall(Message& /*request*/) {}
void KeepRequestSmall(v1::CreatePoolRequest& request) { KeepSmall(*request.mutable_pool()); }
void KeepRequestSmall(v1::UpdatePoolRequest& request) {
  const auto& paths = request.update_mask().paths();
  if (std::find(paths.begin(), paths.end(), "name") != paths.end()) return;
  KeepSmall(*request.mutable_pool());
}

// All of it, strings too: protobuf reads no string that is not UTF-8.
void CheckReadable(const google::protobuf::Message& message) {
  const std::unique_ptr<google::protobuf::Message> again(message.New());
  if (!again->ParseFromString(message.SerializeAsString())) abort();
}

void CheckText(std::string_view text) {
  v1::Condition condition;
  condition.set_reason(std::string(text));
  CheckReadable(condition);
}

void CheckAnswer(const Answer& answer) {
  if (answer.ok()) {
    CheckReadable(**answer);
  } else {
    CheckText({answer.status().message().data(), answer.status().message().size()});
  }
}

template <size_t kKind = 0>
void Ask(Simulation& simulation, size_t kind, std::string_view bytes) {
  if constexpr (kKind < std::variant_size_v<Request>) {
    if (kind != kKind) return Ask<kKind + 1>(simulation, kind, bytes);
    std::variant_alternative_t<kKind, Request> request;
    if (!ParseMessage(bytes, request)) return;
    KeepRequestSmall(request);
    CheckAnswer(simulation.Call(request));
  }
}

// Three hours that know nothing of the future.
simulation::DemandSeries Demand() {
  return {.begin = absl::FromUnixSeconds(1'700'006'400),
          .step = absl::Minutes(1),
          .values = std::vector<double>(180, 100)};
}

void AskReplay(const Simulation& simulation, size_t kind, std::string_view bytes) {
  const auto& pools = simulation.world().pools;
  if (pools.empty()) return;
  const v1::Pool& pool = pools.begin()->second.record.pool();
  absl::Status status;
  if (v1::SimulateRequest simulate; kind == 0 && ParseMessage(bytes, simulate)) {
    const std::vector<v1::Sample> samples(simulate.samples().begin(), simulate.samples().end());
    status = simulation::CheckSeries(samples);
    status.Update(simulation::StepOf(simulate, pool).status());
    status.Update(simulation::CompileSimulation(simulate, pool, Demand()).status());
  }
  if (v1::EvaluatePoolRequest evaluate; kind == 1 && ParseMessage(bytes, evaluate)) {
    status = simulation::CompileEvaluation(evaluate, pool, Demand()).status();
  }
  CheckText({status.message().data(), status.message().size()});
}

void Step(Simulation& simulation, size_t kind, std::string_view bytes) {
  constexpr size_t kRequests = std::variant_size_v<Request>;
  switch (kind % (kRequests + 4)) {
    case kRequests:
      return simulation.Run(absl::Milliseconds(1 << std::min<size_t>(bytes.size(), 18)));
    case kRequests + 1:
      return simulation.KillAfter(simulation.inputs() + 1 + static_cast<int>(bytes.size() % 8),
                                  Simulation::UnderWay::kEverySecond);
    case kRequests + 2:
      return AskReplay(simulation, 0, bytes);
    case kRequests + 3:
      return AskReplay(simulation, 1, bytes);
    default:
      return Ask(simulation, kind % (kRequests + 4), bytes);
  }
}

void CheckStored(const Simulation& simulation) {
  CheckReadable(simulation.store().Contents());
  for (const v1::Event& event : simulation.store().events()) CheckReadable(event);
  for (const v1::Decision& decision : simulation.store().decisions()) CheckReadable(decision);
}

}  // namespace

// Each request: what is asked (its place in `Request`, then: time passes, the daemon is killed, a
// simulation, an evaluation), the number of its bytes (the low byte first), and they.
void Fuzz(std::string_view bytes) {
  Simulation simulation({.instances_max = 4 * kInstancesMax});
  for (int i = 0; i < kRequestsMax && bytes.size() >= kHeaderBytes; ++i) {
    const auto byte = [&bytes](size_t at) { return static_cast<uint8_t>(bytes[at]); };
    const size_t kind = byte(0);
    const std::string_view body = bytes.substr(kHeaderBytes, byte(1) + size_t{256} * byte(2));
    bytes.remove_prefix(kHeaderBytes + body.size());
    Step(simulation, kind, body);
    simulation.Run(absl::Milliseconds(500));
  }
  CheckStored(simulation);
  // A daemon that is killed now starts again on what it stored.
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  simulation.Run(absl::Seconds(30));
  CheckStored(simulation);
}

}  // namespace shadow
