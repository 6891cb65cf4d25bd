#include "absl/strings/str_cat.h"
#include "tests/bench/daemon_benches.h"

namespace shadow::bench {

std::vector<Row> MeasureCalls(DaemonProcess& daemon, const Amount& amount) {
  v1::GetPoolRequest pool;
  pool.set_name("pools/web0");
  std::vector<double> get_pool_ms;
  std::vector<double> get_status_ms;
  for (int i = 0; i < amount.calls; ++i) {
    auto begin = Steady::now();
    Must(daemon.Call(daemon.pools(), &v1::PoolService::Stub::GetPool, pool));
    get_pool_ms.push_back(MsSince(begin));
    begin = Steady::now();
    Must(daemon.Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {}));
    get_status_ms.push_back(MsSince(begin));
  }
  return {RowOf("RPC GetPool, idle daemon with 10 pools", "ms", get_pool_ms, "p99 <= 2"),
          RowOf("RPC GetServerStatus, idle daemon with 10 pools", "ms", get_status_ms, "p99 <= 2")};
}

std::vector<Row> MeasureCallsOfMany(const Amount& amount) {
  BenchDaemon daemon;
  CreateDna(daemon, WorkerDna(absl::Milliseconds(1)));
  for (int i = 0; i < amount.pools_max; ++i) CreatePool(daemon, PushedPool(absl::StrCat("web", i)));
  std::vector<double> get_pool_ms;
  for (int i = 0; i < amount.calls; ++i) {
    v1::GetPoolRequest request;
    request.set_name(absl::StrCat("pools/web", i % amount.pools_max));
    const auto begin = Steady::now();
    Must(daemon.Call(daemon.pools(), &v1::PoolService::Stub::GetPool, request));
    get_pool_ms.push_back(MsSince(begin));
  }
  return {RowOf(absl::StrCat("RPC GetPool, ", amount.pools_max, " pools"), "ms", get_pool_ms,
                "p99 <= 2")};
}

}  // namespace shadow::bench
