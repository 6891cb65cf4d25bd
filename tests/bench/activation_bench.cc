#include <atomic>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/daemon_benches.h"
#include "tests/fakes/http_load.h"

namespace shadow::bench {
namespace {

constexpr absl::Duration kStartup = absl::Milliseconds(200);  // Of a cold worker.
constexpr absl::Duration kAskInterval = absl::Microseconds(200);

constexpr int kPools = 10;      // That are measured.
constexpr int kHungPools = 12;  // Beside them.
constexpr double kRatioMax = 1.2;

struct Timing {
  std::vector<double> total_ms;    // Activate RPC sent until the first answer through HAProxy.
  std::vector<double> warm_up_ms;  // The same requests to the same worker, by hand.
  std::vector<double> over_ms;     // What remains of the total.
};

v1::Pool PoolAt(const HaproxyProcess& haproxy, const std::string& id) {
  v1::Pool pool = PushedPool(id);
  v1::HaproxyBalancer& balancer = *pool.mutable_balancer()->mutable_haproxy();
  balancer.set_socket_path(haproxy.socket_path());
  balancer.set_backend(id);
  return pool;
}

// Asks the frontend again and again. HAProxy answers 503 at once while no server is there.
void AwaitServed(HttpClient& client) {
  const absl::Time end = absl::Now() + absl::Minutes(1);
  while (absl::Now() < end) {
    const auto reply = client.Get("/");
    if (reply.has_value() && reply->status == 200) return;
    absl::SleepFor(kAskInterval);
  }
  throw std::runtime_error("no request is answered");
}

void Activate(DaemonProcess& daemon, const std::string& name, int level) {
  v1::ActivateShadowPoolRequest request;
  request.set_name(name);
  request.set_activation_level(level);
  Must(daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::ActivateShadowPool, request));
}

double WarmUpMs(DaemonProcess& daemon, const std::string& shadow_name) {
  v1::ListInstancesRequest request;
  request.set_parent(shadow_name);
  const auto listed =
      Must(daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request));
  const std::string& address = listed.instances(0).address();
  HttpClient client(std::stoi(address.substr(address.rfind(':') + 1)));
  const auto begin = Steady::now();
  for (int i = 0; i < kWarmUpRequests; ++i) client.Get("/");
  return MsSince(begin);
}

// Activates until served, and takes the numbers. `apart_ms`: of the total, what is the worker's
// own.
void MeasureOnce(DaemonProcess& daemon, const HaproxyProcess& haproxy, const std::string& name,
                 double apart_ms, Timing& timing) {
  HttpClient client(haproxy.frontend_port());
  client.Get("/");
  const auto begin = Steady::now();
  Activate(daemon, name, 100);
  AwaitServed(client);
  timing.total_ms.push_back(MsSince(begin));
  timing.warm_up_ms.push_back(WarmUpMs(daemon, name));
  timing.over_ms.push_back(timing.total_ms.back() - timing.warm_up_ms.back() - apart_ms);
}

void DeleteShadow(DaemonProcess& daemon, const std::string& name) {
  v1::DeleteShadowPoolRequest deletion;
  deletion.set_name(name);
  Must(daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::DeleteShadowPool, deletion));
  v1::GetShadowPoolRequest request;
  request.set_name(name);
  Await("end of the shadow", [&] {
    return absl::IsNotFound(
        daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::GetShadowPool, request)
            .status());
  });
}

void AddRows(const std::string& kind, const std::string& apart, const Timing& timing,
             std::vector<Row>& rows) {
  rows.push_back(RowOf("activate RPC to first served request, " + kind, "ms", timing.total_ms));
  rows.push_back(RowOf("  of it the warm-up requests", "ms", timing.warm_up_ms));
  rows.push_back(RowOf("  over " + apart, "ms", timing.over_ms, "<= 10"));
}

// All at once; of each, from its request until it serves at full weight.
void ActivateAll(DaemonProcess& daemon, const std::vector<std::string>& names,
                 std::vector<double>& took_ms) {
  const auto begin = Steady::now();
  for (const std::string& name : names) Activate(daemon, name, 100);
  for (const std::string& name : names) {
    AwaitShadow(daemon, name, v1::ShadowPool::ACTIVE);
    took_ms.push_back(MsSince(begin));
  }
  for (const std::string& name : names) Activate(daemon, name, 0);
  for (const std::string& name : names) AwaitShadow(daemon, name, v1::ShadowPool::SUSPENDED);
}

}  // namespace

std::vector<Row> MeasureActivation(const Amount& amount) {
  const HaproxyProcess haproxy(HaproxyOptions(0));
  BenchDaemon daemon;
  CreateDna(daemon, WorkerDna(kStartup));
  CreatePool(daemon, PoolAt(haproxy, "web"));
  Timing suspended;
  std::string name = CreateShadow(daemon, "pools/web");
  for (int i = 0; i < amount.activations; ++i) {
    AwaitShadow(daemon, name, v1::ShadowPool::SUSPENDED);
    MeasureOnce(daemon, haproxy, name, 0, suspended);
    Activate(daemon, name, 0);
  }
  Timing cold;
  for (int i = 0; i < amount.cold_starts; ++i) {
    DeleteShadow(daemon, name);
    name = CreateShadow(daemon, "pools/web");
    MeasureOnce(daemon, haproxy, name, absl::ToDoubleMilliseconds(kStartup), cold);
  }
  std::vector<Row> rows;
  AddRows("suspended", "resume and warm-up", suspended, rows);
  AddRows("cold", absl::StrCat("its start-up of ", absl::FormatDuration(kStartup), " and warm-up"),
          cold, rows);
  return rows;
}

std::vector<Row> MeasureNeighbours(const Amount& amount) {
  const HaproxyProcess haproxy(HaproxyOptions(kPools));
  HaproxyProcess hung(HaproxyOptions(kHungPools));
  BenchDaemon daemon;
  CreateDna(daemon, WorkerDna(absl::ZeroDuration()));
  std::vector<std::string> names;
  for (int i = 0; i < kPools; ++i) {
    const std::string id = absl::StrCat("web", i);
    CreatePool(daemon, PoolAt(haproxy, id));
    names.push_back(CreateShadow(daemon, "pools/" + id));
  }
  for (int i = 0; i < kHungPools; ++i) {
    v1::Pool pool = PoolAt(hung, absl::StrCat("web", i));
    pool.set_name(absl::StrCat("pools/hung", i));
    v1::HaproxyUsage& usage = *pool.mutable_usage_sources(0)->mutable_haproxy();
    usage.set_socket_path(hung.socket_path());
    usage.set_frontend("front");
    CreatePool(daemon, pool);
  }
  for (const std::string& name : names) AwaitShadow(daemon, name, v1::ShadowPool::SUSPENDED);
  const int rounds = std::max(1, amount.activations / 2);
  std::vector<double> alone;
  std::vector<double> beside;
  for (int i = 0; i < rounds; ++i) {
    ActivateAll(daemon, names, alone);
    hung.Pause();
    ActivateAll(daemon, names, beside);
    hung.Continue();
  }
  Row ratio =
      RowOf("  the ratio", "x", {Quantile(beside, 0.5) / std::max(Quantile(alone, 0.5), 1e-3)},
            absl::StrCat("<= ", kRatioMax));
  ratio.p99 = Quantile(beside, 0.99) / std::max(Quantile(alone, 0.99), 1e-3);
  return {RowOf("ten pools activated at once, until each serves", "ms", alone),
          RowOf("  the same beside a HAProxy that hangs", "ms", beside), ratio};
}

}  // namespace shadow::bench
