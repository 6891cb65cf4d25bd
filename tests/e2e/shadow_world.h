// One pool "web" on real processes: shadowd, HAProxy, shadow-demo-worker. What every end-to-end
// test begins with and must leave behind: nothing.
#pragma once

#include <google/protobuf/text_format.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/substitute.h"
#include "server/balancers/haproxy_balancer.h"
#include "tests/fakes/daemon_process.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/program_run.h"

namespace shadow {

inline constexpr int kExitConfig =
    78;  // sysexits.h's EX_CONFIG: a start that a person must look at.

struct WorldOptions {
  int base_instances = 1;
  bool haproxy = true;               // Else balancer none.
  bool haproxy_keeps_state = false;  // HaproxyProcess::Options::keeps_state.
  std::string base_flags = "";       // Of shadow-demo-worker, for BASE instances.
  std::string shadow_flags = "";     // The same for SHADOW instances.
  std::string prelude = "";  // Shell lines that run before the worker takes the process over.
  std::string dna = "";      // Text protobuf, merged into the DNA.
  std::string pool = "";     // The same for the pool.
  std::string bin_dir = SHADOW_BIN_DIR;  // Holds shadowd.
};

// All waits have kPatience; a failed expectation fails the test. One thread.
class ShadowWorld {
 public:
  using Pools = v1::PoolService::Stub;
  using Shadows = v1::ShadowPoolService::Stub;

  static constexpr absl::Duration kPatience = absl::Seconds(40);
  static constexpr int kInstanceCapacity = 50;

  explicit ShadowWorld(WorldOptions options = {}, bool create = true)
      : options_(std::move(options)), daemon_(options_.bin_dir) {
    WriteWorker();
    if (!create) return;
    CreateDna();
    CreatePool();
    WaitForBase();
  }

  DaemonProcess& daemon() { return daemon_; }
  HaproxyProcess& haproxy() { return haproxy_; }

  // GETs through HAProxy; 30 requests/s over 6 connections.
  HttpLoad::Options Load() const {
    return {.port = haproxy_.frontend_port(), .clients = 6, .requests_per_second = 30};
  }

  v1::Dna DnaSpec() const {
    v1::Dna dna = Parse<v1::Dna>(absl::Substitute(R"(
      name: "dnas/web"
      process {
        argv: "$0"
        ready_check { http { path: "/healthz" } interval { nanos: 50000000 } }
        stop_timeout { seconds: 5 }
        start_timeout { seconds: 20 }
      }
      warm_up { requests: 3 timeout { seconds: 5 } })",
                                                  WorkerPath()));
    Merge(options_.dna, dna);
    return dna;
  }

  v1::Pool PoolSpec() const {
    v1::Pool pool = Parse<v1::Pool>(absl::Substitute(R"(
      name: "pools/web"
      dna: "dnas/web"
      usage_sources { pushed {} }
      demand_unit: "requests/s"
      step { seconds: 60 }
      managed_instances: $0
      instance_capacity: $1
      policy {
        activation_interval { nanos: 500000000 }
        max_shadow_instances: 8
        drain_timeout { seconds: 10 }
        canary { weight_percent: 25 requests: 5 timeout { seconds: 1 } }
      })",
                                                     options_.base_instances, kInstanceCapacity));
    if (options_.haproxy) {
      pool.mutable_balancer()->mutable_haproxy()->set_socket_path(haproxy_.socket_path());
      pool.mutable_balancer()->mutable_haproxy()->set_backend("web");
    }
    Merge(options_.pool, pool);
    return pool;
  }

  void CreateDna() {
    v1::CreateDnaRequest request;
    *request.mutable_dna() = DnaSpec();
    Must(DaemonProcess::Call(daemon_.dnas(), &v1::DnaService::Stub::CreateDna, request));
  }

  void CreatePool() {
    v1::CreatePoolRequest request;
    *request.mutable_pool() = PoolSpec();
    Must(DaemonProcess::Call(daemon_.pools(), &Pools::CreatePool, request));
  }

  absl::StatusOr<v1::Pool> FindPool() {
    v1::GetPoolRequest request;
    request.set_name("pools/web");
    return DaemonProcess::Call(daemon_.pools(), &Pools::GetPool, request);
  }

  void WaitForBase() {
    WaitFor("the base serves", [this] {
      const auto pool = FindPool();
      return pool.ok() && pool->serving_base_instances() == options_.base_instances;
    });
  }

  void CreateShadow(int instances) {
    v1::CreateShadowPoolRequest request;
    request.set_pool("pools/web");
    request.set_predicted_demand_increase((options_.base_instances + instances) *
                                          kInstanceCapacity);
    const auto shadow =
        Must(DaemonProcess::Call(daemon_.shadows(), &Shadows::CreateShadowPool, request));
    CHECK(shadow.state() == v1::ShadowPool::CREATING);
    CHECK(shadow.target_instances() == instances);
  }

  void Activate(int level) {
    v1::ActivateShadowPoolRequest request;
    request.set_name(Shadow().name());
    request.set_activation_level(level);
    Must(DaemonProcess::Call(daemon_.shadows(), &Shadows::ActivateShadowPool, request));
  }

  void DeleteShadow() {
    v1::DeleteShadowPoolRequest request;
    request.set_name(Shadow().name());
    const auto shadow =
        Must(DaemonProcess::Call(daemon_.shadows(), &Shadows::DeleteShadowPool, request));
    CHECK(shadow.state() == v1::ShadowPool::DELETING);
  }

  // Unset: there is none.
  std::optional<v1::ShadowPool> FindShadow() {
    v1::ListShadowPoolsRequest request;
    request.set_parent("pools/web");
    const auto list = DaemonProcess::Call(daemon_.shadows(), &Shadows::ListShadowPools, request);
    if (!list.ok() || list->shadow_pools().empty()) return std::nullopt;
    return list->shadow_pools(0);
  }

  v1::ShadowPool Shadow() {
    const auto shadow = FindShadow();
    REQUIRE(shadow.has_value());
    return *shadow;
  }

  void WaitForShadow(v1::ShadowPool::State state, int serving) {
    WaitFor("the shadow is " + v1::ShadowPool::State_Name(state), [&] {
      const auto shadow = FindShadow();
      return shadow && shadow->state() == state && shadow->serving_instances() == serving;
    });
  }

  void WaitForNoShadow() {
    WaitFor("the shadow is gone", [this] {
      v1::ListShadowPoolsRequest request;
      request.set_parent("pools/web");
      const auto list = DaemonProcess::Call(daemon_.shadows(), &Shadows::ListShadowPools, request);
      return list.ok() && list->shadow_pools().empty() && Instances(v1::Instance::SHADOW).empty();
    });
  }

  // Of the pool, in this role; failed ones too.
  std::vector<v1::Instance> Instances(v1::Instance::Role role) {
    v1::ListInstancesRequest request;
    request.set_parent("pools/web");
    const auto list = DaemonProcess::Call(daemon_.shadows(), &Shadows::ListInstances, request);
    std::vector<v1::Instance> instances;
    if (!list.ok()) return instances;
    for (const v1::Instance& instance : list->instances()) {
      if (instance.role() == role) instances.push_back(instance);
    }
    return instances;
  }

  std::vector<v1::Instance> Instances(v1::Instance::Role role, v1::Instance::State state) {
    std::vector<v1::Instance> instances = Instances(role);
    std::erase_if(instances, [state](const auto& instance) { return instance.state() != state; });
    return instances;
  }

  // Addresses that HAProxy would send traffic to.
  std::set<std::string> Balanced() {
    HaproxyBalancer balancer(PoolSpec().balancer().haproxy(), clock_);
    std::set<std::string> addresses;
    const auto view = balancer.View();
    if (!view.ok()) return addresses;
    for (const BalancerMember& member : view->members) {
      if (member.weight_percent > 0 && !member.draining) addresses.insert(member.address);
    }
    return addresses;
  }

  // Every instance that is not failed is one process, stopped if it is suspended; no other process
  // carries the tag, and HAProxy has the serving ones and no other.
  void ExpectNothingLeakedOrDoubled() {
    WaitFor("every process has its instance", [this] { return Mismatch().empty(); });
    CHECK(Mismatch() == "");
  }

  // "" where all is as it should be, else what is not.
  std::string Mismatch() {
    std::map<std::string, std::set<pid_t>> processes = daemon_.TaggedProcesses();
    std::set<std::string> serving;
    for (const auto role : {v1::Instance::BASE, v1::Instance::SHADOW}) {
      for (const v1::Instance& instance : Instances(role)) {
        if (instance.state() == v1::Instance::FAILED) continue;
        const std::set<pid_t> pids = processes[Id(instance)];
        processes.erase(Id(instance));
        if (pids != std::set<pid_t>{Pid(instance)}) return instance.name() + ": its processes";
        const bool rests = instance.state() == v1::Instance::SUSPENDED;
        if (DaemonProcess::Stopped(Pid(instance)) != rests) return instance.name() + ": stopped";
        if (instance.state() == v1::Instance::ACTIVE) serving.insert(instance.address());
      }
    }
    if (!processes.empty()) return processes.begin()->first + ": a process without an instance";
    if (options_.haproxy && Balanced() != serving) return "HAProxy has other members";
    return "";
  }

  // Deletes everything through the API and finds nothing left.
  void Finish() {
    const auto shadow = FindShadow();
    if (shadow && shadow->state() != v1::ShadowPool::DELETING) DeleteShadow();
    WaitForNoShadow();
    if (FindPool().ok()) {
      v1::DeletePoolRequest request;
      request.set_name("pools/web");
      Must(DaemonProcess::Call(daemon_.pools(), &Pools::DeletePool, request));
    }
    WaitFor("the pool is gone", [this] { return absl::IsNotFound(FindPool().status()); });
    if (options_.haproxy) CHECK(Balanced().empty());
    CHECK(daemon_.TaggedProcesses().empty());
    CHECK(daemon_.Terminate() == 0);
  }

  template <typename F>
  void WaitFor(const std::string& what, F condition) {
    const bool happened = PollUntil(kPatience, condition);
    INFO(what << "\n" << Described());
    REQUIRE(happened);
  }

  template <typename T>
  static T Must(absl::StatusOr<T> result) {
    INFO(result.status());
    REQUIRE(result.ok());
    return *std::move(result);
  }

  static std::string Id(const v1::Instance& instance) {
    return instance.name().substr(instance.name().rfind('/') + 1);
  }

  static pid_t Pid(const v1::Instance& instance) {
    return std::atoi(instance.handle().c_str() + std::string("pid ").size());
  }

  // A shell script that becomes a shadow-demo-worker; the test may write it anew.
  std::string WorkerPath() const { return daemon_.directory() + "/worker.sh"; }
  void WriteWorker() {
    const std::string& directory = daemon_.directory();
    std::ofstream(directory + "/base.txt") << "base";
    std::ofstream(directory + "/shadow.txt") << "shadow";
    std::ofstream script(WorkerPath());
    script << absl::Substitute(R"(#!/bin/sh
$0
worker="$1/shadow-demo-worker --port $$PORT --capacity 400 --service-time 10ms"
if [ -n "$$SHADOWD_SHADOW" ]; then
  exec $$worker --body $2/shadow.txt $4
fi
exec $$worker --body $2/base.txt $3
)",
                               options_.prelude, SHADOW_BIN_DIR, directory, options_.base_flags,
                               options_.shadow_flags);
    script.close();
    chmod(WorkerPath().c_str(), 0755);
  }

 private:
  template <typename T>
  static void Merge(const std::string& text, T& message) {
    REQUIRE(google::protobuf::TextFormat::MergeFromString(text, &message));
  }
  template <typename T>
  static T Parse(const std::string& text) {
    T message;
    Merge(text, message);
    return message;
  }

  HaproxyProcess::Options Haproxy() const {
    HaproxyProcess::Options options;
    options.slots = 12;
    options.keeps_state = options_.haproxy_keeps_state;
    options.shadowctl = SHADOW_BIN_DIR "/shadowctl";
    options.more = "  http-check send meth GET uri /healthz\n";
    return options;
  }

  std::string Described() {
    std::string text;
    if (const auto shadow = FindShadow()) text += shadow->ShortDebugString() + "\n";
    for (const auto role : {v1::Instance::BASE, v1::Instance::SHADOW}) {
      for (const v1::Instance& instance : Instances(role)) {
        text += instance.ShortDebugString() + "\n";
      }
    }
    const std::string log = daemon_.Log();
    return text + Mismatch() + "\n" + log.substr(log.size() - std::min<size_t>(log.size(), 4000));
  }

  const WorldOptions options_;
  SystemClock clock_;
  HaproxyProcess haproxy_{Haproxy()};
  DaemonProcess daemon_;
};

// No request of the load failed, and there were some.
inline HttpLoad::Result ExpectNoFailure(HttpLoad& load) {
  const HttpLoad::Result result = load.Stop();
  std::string statuses;
  for (const auto& [status, count] : result.by_status) {
    statuses += std::to_string(status) + ": " + std::to_string(count) + "  ";
  }
  INFO("answers by status " << statuses);
  CHECK(result.failed == 0);
  CHECK(result.ok > 0);
  return result;
}

// Until `load` has had so many more answers.
inline void WaitForAnswers(const HttpLoad& load, int64_t more) {
  const int64_t before = load.answered();
  REQUIRE(PollUntil(absl::Seconds(60), [&] { return load.answered() >= before + more; }));
}

inline ProgramResult Ctl(ShadowWorld& world, const std::vector<std::string>& arguments,
                         const ProgramInput& input = {}) {
  std::vector<std::string> argv = {SHADOW_BIN_DIR "/shadowctl", "--address",
                                   world.daemon().address()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(std::move(argv), input);
}

}  // namespace shadow
