// An open-loop load generator for one HTTP server.
//
// Requests are due at times fixed beforehand, whatever the server does, and latency runs from the
// due time: a late answer does not delay or thin out the requests after it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow::demo {

struct LoadOptions {
  std::string host = "127.0.0.1";  // An IPv4 address.
  int port = 0;
  std::string path = "/";
  std::vector<double> rates = {};  // Requests per second, one value a step.
  absl::Duration step = absl::Seconds(1);
  uint64_t seed = 1;
  bool keep_alive = true;  // False: a fresh connection for each request.
  int connections_max =
      4096;  // Requests due beyond them wait for a connection, and their time runs.
  absl::Duration timeout = absl::Seconds(10);  // From the due time.
};

// Of the requests that were due in one step.
struct LoadStep {
  int64_t arrivals = 0;
  int64_t ok = 0;
  int64_t failed = 0;
};

struct LoadReport {
  int64_t sent = 0;  // Due so far. sent = ok + failed + in flight.
  int64_t ok = 0;
  int64_t failed = 0;             // The sum of the three below.
  int64_t failed_status = 0;      // Answered, but not 2xx.
  int64_t failed_connection = 0;  // Refused, broken, or not HTTP.
  int64_t failed_timeout = 0;
  // Of every finished request, a failed one with the time until it failed; ascending.
  std::vector<double> latencies_ms = {};
  std::vector<LoadStep> steps = {};
};

// The smallest sample that at least the share `quantile` of all samples does not exceed (nearest
// rank: of 1, 2, 3, 4 the 0.5 quantile is 2). `ascending`: sorted. 0 if there are none.
double NearestRank(const std::vector<double>& ascending, double quantile);

// The report of `shadow-demo-load --report`: counts, p50, p90, p99 and the maximum, and the steps.
std::string LoadReportJson(const LoadReport& report);

// Run on one thread; Snapshot from any. `clock` must outlive it.
class LoadRun {
 public:
  LoadRun(const LoadOptions& options, const Clock& clock);
  ~LoadRun();
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  // Sends everything, beginning at `start` (monotonic), and waits for the answers. Returns early,
  // with what is in flight left out of the report, once `stop` is true (looked at every 50 ms).
  // kInvalidArgument: a bad address or option.
  absl::Status Run(absl::Duration start, const std::atomic<bool>& stop);

  // `latencies_ms` is filled only after Run.
  LoadReport Snapshot() const;

 private:
  enum class Outcome { kOk, kStatus, kConnection, kTimeout };
  struct Connection {
    int fd = -1;
    int64_t request = -1;  // Index of the arrival that it carries; -1: idle.
    bool connecting = false;
    size_t written = 0;
    std::string in;
    absl::Duration idle_since;
  };

  absl::Status CheckOptions();
  void SendDue(absl::Duration now);
  void Send(int64_t request, absl::Duration now);
  void Write(uint64_t id);
  void OnEvent(uint64_t id, uint32_t events);
  void OnReadable(uint64_t id);
  void OnAnswer(uint64_t id, int status, bool reusable);
  void ExpireOld(absl::Duration now);
  void Finish(int64_t request, Outcome outcome);
  void Close(uint64_t id);
  void WatchFor(uint64_t id, uint32_t interest);
  int WaitMillis(absl::Duration now) const;
  LoadStep& StepOf(int64_t request);  // Under mutex_.

  LoadOptions options_;
  const Clock& clock_;
  std::string request_text_;
  std::vector<absl::Duration> arrivals_;  // Since `start_`.
  absl::Duration start_;
  int64_t next_ = 0;
  int epoll_fd_ = -1;
  uint64_t next_id_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<uint64_t> idle_;             // The last used at the back.
  std::deque<int64_t> waiting_;            // Due, but all connections are in use.
  std::map<int64_t, uint64_t> in_flight_;  // Request to connection.

  mutable std::mutex mutex_;
  LoadReport report_;  // Guarded by mutex_, like the next.
  bool finished_ = false;
};

}  // namespace shadow::demo
