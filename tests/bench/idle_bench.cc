#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/daemon_benches.h"

namespace shadow::bench {
namespace {

constexpr int kPools = 10;

// User and system time of all its threads so far, from /proc/PID/stat.
double CpuSeconds(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// VmRSS of /proc/PID/status.
double ResidentMb(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; file >> word;) {
    double kilobytes = 0;
    if (word == "VmRSS:" && file >> kilobytes) return kilobytes / 1024;
  }
  throw std::runtime_error("no VmRSS");
}

v1::Pool BalancedPool(int index, const HaproxyProcess& haproxy) {
  const std::string id = absl::StrCat("web", index);
  v1::Pool pool = PushedPool(id);
  pool.set_managed_instances(1);
  pool.clear_usage_sources();
  v1::HaproxyUsage& usage = *pool.add_usage_sources()->mutable_haproxy();
  usage.set_socket_path(haproxy.socket_path());
  usage.set_frontend("front");
  v1::HaproxyBalancer& balancer = *pool.mutable_balancer()->mutable_haproxy();
  balancer.set_socket_path(haproxy.socket_path());
  balancer.set_backend(id);
  return pool;
}

}  // namespace

// Each pool has an instance that serves, one that waits, its HAProxy backend and its usage source.
std::vector<Row> MeasureIdle(const Amount& amount) {
  const HaproxyProcess haproxy(HaproxyOptions(kPools));
  BenchDaemon daemon;
  CreateDna(daemon, WorkerDna(absl::Milliseconds(1)));
  std::vector<std::string> shadows;
  for (int i = 0; i < kPools; ++i) {
    const v1::Pool pool = BalancedPool(i, haproxy);
    CreatePool(daemon, pool);
    shadows.push_back(CreateShadow(daemon, pool.name()));
  }
  for (const std::string& name : shadows) AwaitShadow(daemon, name, v1::ShadowPool::SUSPENDED);
  for (int i = 0; i < kPools; ++i) {
    v1::GetPoolRequest request;
    request.set_name(absl::StrCat("pools/web", i));
    Await("base that serves", [&] {
      return !Must(daemon.Call(daemon.pools(), &v1::PoolService::Stub::GetPool, request))
                  .reconciling();
    });
  }
  const double before = CpuSeconds(daemon.pid());
  const auto begin = Steady::now();
  absl::SleepFor(amount.idle);
  const double share = 1e5 * (CpuSeconds(daemon.pid()) - before) / MsSince(begin);
  std::vector<Row> rows = {
      RowOf("idle daemon, 10 pools, 20 instances: CPU", "% of core", {share}, "<= 1"),
      RowOf("idle daemon, 10 pools, 20 instances: memory", "MB", {ResidentMb(daemon.pid())},
            "<= 64")};
  for (Row& row : MeasureCalls(daemon, amount)) rows.push_back(std::move(row));
  return rows;
}

}  // namespace shadow::bench
