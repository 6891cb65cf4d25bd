// What the loop does by itself: nothing in OBSERVE, everything in AUTOMATIC. And what Watch tells.
#include <cmath>

#include "tests/e2e/shadow_world.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using I = v1::Instance;
using Usage = v1::UsageService::Stub;

// Demand by pushed samples only, steps of a second, a base of 50 that is not ours.
WorldOptions FastSteps(const std::string& policy) {
  return {.base_instances = 0, .haproxy = false, .pool = R"(
            step { seconds: 1 }
            season_lengths { seconds: 20 }
            external_capacity: 50
            policy {
              stabilization_window { seconds: 2 }
              look_ahead { seconds: 5 }
              usage_max_age { seconds: 10 }
              provisioning_lead { seconds: 4 }
              activation_lead { seconds: 1 }
              service_level: 0.9)" + policy + "}"};
}

v1::ReportUsageBatchRequest Batch() {
  v1::ReportUsageBatchRequest request;
  request.set_pool("pools/web");
  return request;
}

void AddSample(v1::ReportUsageBatchRequest& request, int64_t unix_seconds, double value) {
  v1::Sample& sample = *request.add_samples();
  sample.mutable_time()->set_seconds(unix_seconds);
  sample.set_value(value);
}

absl::Status Push(ShadowWorld& world, const v1::ReportUsageBatchRequest& request) {
  return DaemonProcess::Call(world.daemon().usage(), &Usage::ReportUsageBatch, request).status();
}

// Pushes `demand` of every second that begins while it is called.
template <typename F>
class Pusher {
 public:
  Pusher(ShadowWorld& world, F demand)
      : world_(world), demand_(demand), last_(absl::ToUnixSeconds(absl::Now())) {}

  void Tick() {
    const int64_t now = absl::ToUnixSeconds(absl::Now());
    if (now == last_) return;
    v1::ReportUsageBatchRequest request = Batch();
    while (last_ < now) {
      ++last_;
      AddSample(request, last_, demand_(last_));
    }
    const absl::Status pushed = Push(world_, request);
    INFO(pushed);
    REQUIRE(pushed.ok());
  }

 private:
  ShadowWorld& world_;
  F demand_;
  int64_t last_;
};

std::vector<v1::Decision> Decisions(ShadowWorld& world) {
  v1::ListDecisionsRequest request;
  request.set_pool("pools/web");
  const auto list = ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().usage(), &Usage::ListDecisions, request));
  return {list.decisions().begin(), list.decisions().end()};
}

TEST_CASE("OBSERVE initiates nothing while demand rises, AUTOMATIC does") {
  ShadowWorld world(FastSteps(""));
  Pusher pusher(world, [](int64_t) { return 180.0; });
  world.WaitFor("it is decided on a shadow that serves", [&] {
    pusher.Tick();
    const auto decisions = Decisions(world);
    CHECK(std::none_of(decisions.begin(), decisions.end(),
                       [](const v1::Decision& decision) { return decision.acted(); }));
    return std::any_of(decisions.begin(), decisions.end(), [](const v1::Decision& decision) {
      return decision.kind() == v1::Decision::LEVEL && decision.target_active() >= 3;
    });
  });
  CHECK_FALSE(world.FindShadow().has_value());
  CHECK(world.daemon().TaggedProcesses().empty());

  v1::UpdatePoolRequest request;
  *request.mutable_pool() = world.PoolSpec();
  request.mutable_pool()->mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::UpdatePool, request));
  world.WaitFor("the shadow serves", [&] {
    pusher.Tick();
    return world.Instances(I::SHADOW, I::ACTIVE).size() >= 3;
  });
  request.mutable_pool()->mutable_policy()->set_mode(v1::Policy::OBSERVE);
  ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::UpdatePool, request));
  world.Finish();
}

TEST_CASE("AUTOMATIC has a shadow ready before a daily rise and deletes it afterwards") {
  constexpr int64_t kDay = 20;
  constexpr double kBase = 50;
  ShadowWorld world(FastSteps(" mode: AUTOMATIC"), false);
  world.CreateDna();
  // A day begins low: the rise comes after 12 of its 20 s.
  const int64_t midnight = absl::ToUnixSeconds(absl::Now());
  const auto demand = [&](int64_t second) {
    const int64_t of_day = ((second - midnight) % kDay + kDay) % kDay;
    return of_day < 12 ? 20.0 : 90.0;
  };
  world.CreatePool();
  Pusher pusher(world, demand);
  v1::ReportUsageBatchRequest history = Batch();
  for (int64_t second = midnight - 12 * kDay; second < midnight; ++second) {
    AddSample(history, second, demand(second));
  }
  const absl::Status pushed = Push(world, history);
  INFO(pushed);
  REQUIRE(pushed.ok());
  world.WaitFor("a shadow waits suspended while the base suffices", [&] {
    pusher.Tick();
    const auto shadow = world.FindShadow();
    return shadow && shadow->state() == S::SUSPENDED &&
           demand(absl::ToUnixSeconds(absl::Now())) < kBase;
  });
  world.WaitFor("it serves", [&] {
    pusher.Tick();
    return !world.Instances(I::SHADOW, I::ACTIVE).empty();
  });
  world.WaitFor("it is deleted", [&] {
    pusher.Tick();
    return !world.FindShadow().has_value() && world.daemon().TaggedProcesses().empty();
  });
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = world.PoolSpec();
  request.mutable_pool()->mutable_policy()->set_mode(v1::Policy::OBSERVE);
  ShadowWorld::Must(
      DaemonProcess::Call(world.daemon().pools(), &v1::PoolService::Stub::UpdatePool, request));
  world.Finish();
}

// What Watch tells after `since`, until `last` is true for an event.
template <typename F>
std::vector<v1::Event> WatchUntil(ShadowWorld& world, int64_t since, F last) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + ShadowWorld::kPatience));
  v1::WatchRequest request;
  request.set_since_revision(since);
  request.set_name_prefix("pools/web");
  const auto reader = world.daemon().events().Watch(&context, request);
  std::vector<v1::Event> events;
  v1::Event event;
  while (reader->Read(&event)) {
    if (event.kind() == v1::Event::BOOKMARK) continue;
    events.push_back(event);
    if (last(event)) break;
  }
  context.TryCancel();
  reader->Finish().error_code();
  REQUIRE(!events.empty());
  REQUIRE(last(events.back()));
  return events;
}

TEST_CASE("Watch is ordered and resumable, and tells endpoints where no balancer does") {
  ShadowWorld world({.base_instances = 1, .haproxy = false});
  world.CreateShadow(1);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(100);
  const auto serves = [](const v1::Event& event) {
    return event.has_instance() && event.instance().role() == I::SHADOW &&
           event.instance().state() == I::ACTIVE;
  };
  const auto events = WatchUntil(world, 0, serves);
  CHECK(std::adjacent_find(events.begin(), events.end(), [](const auto& a, const auto& b) {
          return a.revision() >= b.revision();
        }) == events.end());
  const I& endpoint = events.back().instance();
  CHECK(endpoint.weight_percent() == 100);
  const std::string& address = endpoint.address();
  HttpClient client(std::atoi(address.c_str() + address.find(':') + 1));
  CHECK(client.Get("/").value().body == "shadow");

  // From the middle: the rest, and nothing else; also after a restart.
  const size_t middle = events.size() / 2;
  CHECK(world.daemon().Terminate() == 0);
  world.daemon().Start();
  const auto rest = WatchUntil(world, events[middle].revision(), serves);
  REQUIRE(rest.size() == events.size() - middle - 1);
  for (size_t i = 0; i < rest.size(); ++i) {
    CHECK(rest[i].SerializeAsString() == events[middle + 1 + i].SerializeAsString());
  }
  world.Finish();
}

}  // namespace
}  // namespace shadow
