// The TCP port: accepts, has TLS prove who calls, and hands a plain connection on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/access/caller.h"
#include "server/api/tcp/tls_context.h"
#include "server/api/tcp/tls_link.h"
#include "server/core/clock.h"

namespace shadow {

// TLS ends here, not in gRPC: so what comes next is checked as what comes from the Unix socket
// (readers/), before gRPC sees it. Thread-safe; its own thread does the handshakes and passes the
// bytes. SIGPIPE must be ignored.
class TlsListener {
 public:
  static constexpr int kConnectionsMax = 256;
  static constexpr int kHandshakesMax = 64;  // Under way; for a further one the oldest is given up.
  static constexpr int kHandshakesMaxOfHost = 8;  // Of an address; further ones are closed.
  static constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);

  // Called on its thread. Owns `fd`, which does not block.
  using OnConnection = std::function<void(int fd, const Caller& caller)>;

  // Listens on `address` (ParseTcpAddress). `clock` must outlive it. kInvalidArgument: the address.
  // kAlreadyExists: another process has it. Other errors as of socket(2) and bind(2).
  static absl::StatusOr<std::unique_ptr<TlsListener>> Open(
      const std::string& address, std::shared_ptr<const TlsContext> context,
      OnConnection on_connection, Clock& clock);

  // Closes all connections.
  ~TlsListener();
  TlsListener(const TlsListener&) = delete;
  TlsListener& operator=(const TlsListener&) = delete;

  int port() const { return port_; }

  // `context` is that of handshakes from now on; unset: the present one. Closes those connections
  // that it would not take any more, and those of callers whom `keeps` refuses.
  void Reload(std::shared_ptr<const TlsContext> context,
              const std::function<bool(const Caller&)>& keeps);

  // No connection is handed on after this; those that were go on.
  void StopAccepting();

 private:
  struct Peer;

  TlsListener(int listen_fd, int port, std::shared_ptr<const TlsContext> context,
              OnConnection on_connection, Clock& clock);

  void Run();
  void Accept();
  void MakeRoom(const std::string& host);
  void OnEvent(uint64_t token, uint32_t events);
  // False: the connection is over.
  bool Shake(Peer& peer);
  bool HandOn(Peer& peer);
  void Watch(Peer& peer);
  void CloseOverdue();
  int WaitMillis();
  void Warn(const std::string& host, const std::string& why);

  const int listen_fd_;
  const int port_;
  const OnConnection on_connection_;
  Clock& clock_;
  const int epoll_fd_;
  const int stop_fd_;  // An eventfd: readable means stop.
  std::mutex mutex_;   // Guards what follows.
  std::shared_ptr<const TlsContext> context_;
  bool accepting_ = true;
  bool out_of_descriptors_ = false;  // Until the next look.
  uint64_t next_id_ = 1;
  std::map<uint64_t, std::unique_ptr<Peer>> peers_;
  std::map<std::string, absl::Duration> warned_at_;  // By host; monotonic.
  std::thread thread_;
};

}  // namespace shadow
