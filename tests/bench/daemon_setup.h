// What the benchmarks of the daemon have in common: real workers, real HAProxy, real calls.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/fakes/daemon_process.h"
#include "tests/fakes/haproxy_process.h"

namespace shadow::bench {

// How much is measured. `Smoke`: enough to see that it runs.
struct Amount {
  int activations = 20;
  int cold_starts = 5;
  int calls = 5000;
  int messages = 20;  // Of kMessageSamples each, per stream.
  absl::Duration idle = absl::Seconds(20);
  int pools = 1000;        // Of the restarts and of the samples.
  int pools_max = 10'000;  // As many as a daemon takes.
  int days = 35;           // Of the samples.
  int restarts = 5;

  static Amount Smoke() {
    return {.activations = 2,
            .cold_starts = 1,
            .calls = 20,
            .messages = 1,
            .idle = absl::Milliseconds(200),
            .pools = 3,
            .pools_max = 5,
            .days = 2,  // Less cannot be evaluated.
            .restarts = 1};
  }
};

using Steady = std::chrono::steady_clock;

inline double MsSince(Steady::time_point begin) {
  return std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
}

// The value, or std::runtime_error with the status.
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

// Waits for `condition`; std::runtime_error where `what` does not come within a minute.
template <typename F>
void Await(const std::string& what, F condition) {
  if (!PollUntil(absl::Minutes(1), condition)) throw std::runtime_error("no " + what);
}

// A daemon that logs as it does by default.
class BenchDaemon : public DaemonProcess {
 public:
  BenchDaemon();
};

// One backend per pool, "web0" and so on; `frontend_port` leads to "web".
HaproxyProcess::Options HaproxyOptions(int backends);

inline constexpr int kWarmUpRequests = 5;

// "dnas/web": the demonstration's worker, which listens `startup` after its start. Takes the ports
// from 21000 on.
v1::Dna WorkerDna(absl::Duration startup);

// "pools/{id}" in OBSERVE with a base that is not the daemon's, pushed usage, and no balancer.
v1::Pool PushedPool(const std::string& id);

void CreateDna(DaemonProcess& daemon, const v1::Dna& dna);
void CreatePool(DaemonProcess& daemon, const v1::Pool& pool);

// Creates a shadow pool of one instance. Its name.
std::string CreateShadow(DaemonProcess& daemon, const std::string& pool_name);
void AwaitShadow(DaemonProcess& daemon, const std::string& name, v1::ShadowPool::State state);

}  // namespace shadow::bench
