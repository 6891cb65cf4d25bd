// The demonstration's service: an HTTP/1.1 worker with a bounded capacity.
//
//   GET /         work: waits in a first-in-first-out queue for one of a few slots, holds it for
//   the
//                 service time, answers 200; 503 at once if the queue is full
//   GET /healthz  200 at once, takes no slot
//
// A slot is held for slots / capacity, so that all slots together pass exactly `capacity` requests
// per second: 50 requests/s at 40 ms is ceil(50 x 0.04) = 2 slots, held for 2 / 50 = 40 ms each.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/http_wire.h"

namespace shadow::demo {

inline constexpr int kConnectionsMax = 512;
inline constexpr int kExitAfterStatus = 3;
inline constexpr absl::Duration kReadTimeout = absl::Seconds(5);     // Of a request once begun.
inline constexpr absl::Duration kWriteTimeout = absl::Seconds(10);   // Of a response.
inline constexpr absl::Duration kIdleTimeout = absl::Seconds(120);   // Between two requests.
inline constexpr absl::Duration kFinishTimeout = absl::Seconds(30);  // After the stop signal.

// Counts are of work requests; unset: never.
struct WorkerFaults {
  std::optional<int64_t> fail_after = std::nullopt;  // 500 for every request after so many.
  std::optional<int64_t> slow_after =
      std::nullopt;  // `slow_by` longer for every request after so many.
  absl::Duration slow_by = absl::Milliseconds(500);
  double fail_ratio = 0;  // 500 for this share of requests, drawn at random.
  std::optional<int64_t> exit_after =
      std::nullopt;  // Exits with kExitAfterStatus once so many are answered.
};

struct WorkerOptions {
  std::string address = "127.0.0.1";  // IPv4.
  int port = 0;                       // 0: any free one.
  double capacity = 50;               // Requests per second.
  absl::Duration service_time = absl::Milliseconds(40);
  int queue_max = 64;  // Requests that wait for a slot.
  std::string body = "ok\n";
  WorkerFaults faults = {};
  uint64_t seed = 1;  // Of fail_ratio.
};

// One thread: that of Run. `clock` must outlive it.
class DemoWorker {
 public:
  // Listens. kInvalidArgument: an option out of range. kUnavailable: the port is taken.
  static absl::StatusOr<std::unique_ptr<DemoWorker>> Listen(const WorkerOptions& options,
                                                            const Clock& clock);
  ~DemoWorker();
  DemoWorker(const DemoWorker&) = delete;
  DemoWorker& operator=(const DemoWorker&) = delete;

  int port() const { return port_; }

  // Serves until `stop_fd` becomes readable, then stops listening and finishes what is in flight
  // (at most kFinishTimeout). Returns the exit status: 0, or kExitAfterStatus.
  int Run(int stop_fd);

 private:
  struct Connection {
    int fd = -1;
    std::string in;
    std::string out;
    bool in_service = false;  // Its request waits for a slot or holds one.
    bool keep_alive = true;
    uint32_t interest = 0;    // Of epoll.
    absl::Duration deadline;  // Monotonic; meaningless while in_service.
  };
  struct Slot {
    absl::Duration free_at;
    uint64_t connection;
    int status;
    bool operator>(const Slot& other) const { return free_at > other.free_at; }
  };

  DemoWorker(const WorkerOptions& options, const Clock& clock);
  absl::Duration Now() const { return clock_.Now().mono; }
  int WaitMillis(absl::Duration now) const;
  void Accept();
  void SetListening(bool listening);
  void OnEvent(uint64_t id, uint32_t events);
  void ReadSome(uint64_t id, Connection& connection);
  // Handles the requests in `in`. May close the connection.
  void Advance(uint64_t id);
  void TakeRequest(uint64_t id, Connection& connection, const RequestHead& head);
  void Respond(uint64_t id, Connection& connection, int status, std::string_view body);
  bool Flush(uint64_t id, Connection& connection);
  void SetInterest(uint64_t id, Connection& connection);
  void StartWaiting(absl::Duration now);
  void FinishSlots(absl::Duration now);
  void CloseExpired(absl::Duration now);
  void BeginStop();
  void Close(uint64_t id);

  const WorkerOptions options_;
  const Clock& clock_;
  int slots_max_ = 1;
  absl::Duration hold_;  // Of a slot.
  int epoll_fd_ = -1;
  int listen_fd_ = -1;
  int port_ = 0;
  bool listening_ = false;
  bool stopping_ = false;
  absl::Duration finish_by_ = absl::InfiniteDuration();
  absl::Duration next_sweep_;
  uint64_t next_id_ = 2;  // 0 and 1 are the listener and `stop_fd` in epoll's data.
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::deque<uint64_t> waiting_;
  std::priority_queue<Slot, std::vector<Slot>, std::greater<>> busy_;
  int64_t started_ = 0;
  int64_t answered_ = 0;
  std::mt19937_64 random_;
};

}  // namespace shadow::demo
