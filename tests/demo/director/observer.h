// What shadowd says of the pool while a replay runs: polled for the view, watched for the record.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/director/api.h"

namespace shadow::demo {

// Instances by what they do.
struct InstanceCounts {
  int base_serving = 0;    // ACTIVE at full weight.
  int shadow_serving = 0;  // The same, of the shadow pool.
  int starting = 0;        // From CREATING until suspended for the first time, or serving.
  int suspended = 0;
  int waking = 0;  // RESUMING or WARMING.
  int draining = 0;
  int ending = 0;  // FAILED or DELETING.
  int running() const { return base_serving + shadow_serving + starting + waking + draining; }
  int serving() const { return base_serving + shadow_serving; }
};

InstanceCounts CountInstances(const std::vector<v1::Instance>& instances);

struct ForecastPoint {
  double low = 0;  // The 0.05 quantile, requests/s.
  double median = 0;
  double high = 0;  // The 0.95 quantile.
};

struct PoolState {
  InstanceCounts counts;
  bool has_shadow = false;
  int target_instances = 0;
  int activation_level = 0;  // Percent.
  // By step of the replay (0: its first).
  std::map<int, ForecastPoint> forecast;
  std::string last_decision;  // In words.
};

// Means over one step of the replay.
struct StepState {
  int64_t samples = 0;
  double serving = 0;
  double running = 0;
  double suspended = 0;
};

// One time that an instance of the shadow was needed and served.
struct Service {
  bool woken = false;  // Else it was started cold.
  absl::Duration need_to_serve;
};

// Two threads of its own; the methods may be called from any. `api` and `clock` must outlive it.
class Observer {
 public:
  struct Grid {
    Instant start;  // Of the replay's first step.
    absl::Duration step;
    int steps = 0;
  };

  Observer(Api& api, Clock& clock, const Grid& grid);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Ends both threads; the record stays. The first error that the daemon gave, if any.
  absl::Status Stop();

  PoolState State() const;
  std::vector<StepState> Steps() const;
  std::vector<Service> Services() const;

 private:
  void Poll();
  absl::Status PollOnce();
  void PollForecast();
  void Watch();
  void Note(const v1::Event& event);
  void AddSample(const InstanceCounts& counts);

  Api& api_;
  Clock& clock_;
  const Grid grid_;
  grpc::ClientContext watch_context_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // All guarded by mutex_.
  bool stop_ = false;
  absl::Status status_;
  PoolState state_;
  std::vector<StepState> steps_;
  std::map<std::pair<std::string, int64_t>, Service> services_;  // By instance and need_time in ns.

  std::thread poll_thread_;
  std::thread watch_thread_;
};

}  // namespace shadow::demo
