// The socket of shadowd-units: who may connect, how many, how long.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/units/gate/units_gate.h"
#include "server/units/protocol/frame.h"

namespace shadow {

// Run is for one thread; Stop for any. A thread for each connection, which does one request after
// the other.
class UnitsServer {
 public:
  static constexpr int kConnectionsMax = 32;  // Beyond it, a connection is closed at once.

  struct Options {
    uid_t allowed_uid = 0;  // Whoever else connects is hung up on before a byte is read.
    absl::Duration frame_time = absl::Seconds(2);   // For a frame that has begun, and for a reply.
    absl::Duration idle_time = absl::Seconds(60);   // Of a connection, then it is closed.
    absl::Duration alone_time = absl::Seconds(60);  // Without a connection, then Run returns.
    std::function<void(const std::string& message)> log = [](const std::string&) {};
  };

  // Owns `socket_fd`, which listens. `gate` and `clock` must outlive this.
  UnitsServer(int socket_fd, UnitsGate& gate, Clock& clock, Options options);
  UnitsServer(const UnitsServer&) = delete;
  UnitsServer& operator=(const UnitsServer&) = delete;
  ~UnitsServer();

  // Serves until Stop, or until nobody has been connected for `alone_time`. Then all connections
  // are closed, once the requests that are under way have been answered. kUnavailable: the socket.
  absl::Status Run();
  void Stop();

 private:
  struct Connection {
    Connection(int fd, const Clock& clock) : channel(fd, clock) {}
    FrameChannel channel;
    std::thread thread;
    bool ended = false;  // Guarded by `mutex_`.
  };

  void Accept();
  void Serve(Connection& connection);
  // Whether the connection is of use any more.
  bool AnswerOne(Connection& connection, const std::string& request);
  void SendChanges(Connection& connection, const std::string& request);
  // Joins the threads that have ended; the number of others.
  int Tidy();
  void HangUpOnAll();

  const int socket_fd_;
  const int stop_fd_;
  UnitsGate& gate_;
  Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  bool stopping_ = false;  // Guarded by `mutex_`.
};

}  // namespace shadow
