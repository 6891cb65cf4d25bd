#include "tests/bench/daemon_setup.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/core/time_proto.h"

namespace shadow::bench {

BenchDaemon::BenchDaemon() : DaemonProcess(SHADOW_BIN_DIR) {
  std::ofstream(directory() + "/shadowd.textproto") << "";
  Kill();
  Start();
}

HaproxyProcess::Options HaproxyOptions(int backends) {
  HaproxyProcess::Options options;
  options.more = "  option httpchk GET /healthz\n";
  for (int i = 0; i < backends; ++i) {
    absl::StrAppend(
        &options.more, "backend web", i,
        "\n"
        "  option httpchk GET /healthz\n"
        "  server-template slot 1-4 127.0.0.1:9 weight 100 check inter 500ms disabled\n");
  }
  return options;
}

v1::Dna WorkerDna(absl::Duration startup) {
  v1::Dna dna;
  dna.set_name("dnas/web");
  v1::Process& process = *dna.mutable_process();
  const std::string program = absl::StrCat(SHADOW_BIN_DIR, "/shadow-demo-worker");
  for (const std::string& word :
       {program, std::string("--startup"), absl::FormatDuration(startup), std::string("--capacity"),
        std::string("10000"), std::string("--service-time"), std::string("1ms"),
        std::string("--port"), std::string("$(PORT)")}) {
    process.add_argv(word);
  }
  process.mutable_ready_check()->mutable_http()->set_path("/healthz");
  *process.mutable_ready_check()->mutable_interval() = ToProto(absl::Milliseconds(20));
  dna.mutable_network()->set_port_min(21000);
  dna.mutable_network()->set_port_max(21999);
  dna.mutable_warm_up()->set_requests(kWarmUpRequests);
  dna.mutable_warm_up()->set_path("/");
  return dna;
}

v1::Pool PushedPool(const std::string& id) {
  v1::Pool pool;
  pool.set_name("pools/" + id);
  pool.set_dna("dnas/web");
  pool.add_usage_sources()->mutable_pushed();
  pool.set_external_capacity(100);
  pool.set_instance_capacity(50);
  return pool;
}

void CreateDna(DaemonProcess& daemon, const v1::Dna& dna) {
  v1::CreateDnaRequest request;
  *request.mutable_dna() = dna;
  Must(daemon.Call(daemon.dnas(), &v1::DnaService::Stub::CreateDna, request));
}

void CreatePool(DaemonProcess& daemon, const v1::Pool& pool) {
  v1::CreatePoolRequest request;
  *request.mutable_pool() = pool;
  Must(daemon.Call(daemon.pools(), &v1::PoolService::Stub::CreatePool, request));
}

std::string CreateShadow(DaemonProcess& daemon, const std::string& pool_name) {
  v1::CreateShadowPoolRequest request;
  request.set_pool(pool_name);
  request.set_predicted_demand_increase(1);
  return Must(
             daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::CreateShadowPool, request))
      .name();
}

void AwaitShadow(DaemonProcess& daemon, const std::string& name, v1::ShadowPool::State state) {
  v1::GetShadowPoolRequest request;
  request.set_name(name);
  v1::ShadowPool last;
  const auto reached = [&] {
    last =
        Must(daemon.Call(daemon.shadows(), &v1::ShadowPoolService::Stub::GetShadowPool, request));
    return last.state() == state;
  };
  try {
    Await(v1::ShadowPool::State_Name(state), reached);
  } catch (const std::exception& error) {
    throw std::runtime_error(absl::StrCat(error.what(), ": ", last.ShortDebugString()));
  }
}

}  // namespace shadow::bench
