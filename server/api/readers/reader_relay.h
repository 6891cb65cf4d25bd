// Between readers and gRPC: passes bytes on as long as a FrameGuard lets them. A *reader*, here and
// in all of this folder, is a limited caller, whatever its role: all but administrators on the Unix
// socket.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/access/access.h"
#include "server/api/readers/frame_guard.h"
#include "server/core/clock.h"

namespace shadow {

// Thread-safe. Its own thread passes the bytes; it holds 32 KB for each connection. A caller who
// asks for more work than ReaderShare allows is read from more slowly, one who passes a limit loses
// the connection. What gRPC reads from has an address of `access`, so a call knows its caller.
class ReaderRelay {
 public:
  // Descriptors that a connection takes: the peer's, and a pair towards gRPC.
  static constexpr int kDescriptorsOfConnection = 3;

  struct Limits {
    int connections = 0;          // Of all callers.
    int connections_of_user = 0;  // Of each.
  };
  // A quarter of `descriptors` (RLIMIT_NOFILE) at most, and an eighth of that for each user.
  static Limits LimitsOf(uint64_t descriptors);

  // `access` and `clock` must outlive this.
  ReaderRelay(const Limits& limits, Access& access, Clock& clock);
  // Closes all connections.
  ~ReaderRelay();
  ReaderRelay(const ReaderRelay&) = delete;
  ReaderRelay& operator=(const ReaderRelay&) = delete;

  // Takes over the connection `fd` of `caller`, which must not block; returns the descriptor for
  // gRPC, which the caller of this owns. kResourceExhausted: a limit, or no descriptors are left;
  // `fd` is closed then.
  absl::StatusOr<int> Add(int fd, const Caller& caller);

 private:
  enum class Passed { kGoesOn, kEnded };
  struct Link;

  absl::StatusOr<int> AddLocked(int fd, const Caller& caller);
  ReaderShare& ShareOf(const std::string& caller);
  void ForgetIdleShares();
  void Run();
  // Until a user whose share was spent is read from again; -1: no user waits.
  int WaitMillis();
  void ResumePaused();
  void OnEvent(uint64_t token, uint32_t events);
  // What it has left of the server's last words goes to the peer, as far as that takes it now.
  void Close(uint64_t id);
  void Watch(Link& link);

  const Limits limits_;
  Access& access_;
  Clock& clock_;
  const int epoll_fd_;
  const int stop_fd_;                          // An eventfd: readable means stop.
  std::mutex mutex_;                           // Guards what follows.
  std::map<std::string, ReaderShare> shares_;  // By Caller::Name.
  std::map<uint64_t, std::unique_ptr<Link>> links_;
  std::map<std::string, absl::Duration> warned_at_;
  std::thread thread_;
};

}  // namespace shadow
