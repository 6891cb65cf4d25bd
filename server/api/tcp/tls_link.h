// One TLS connection: bytes between its socket and a plain one towards gRPC.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/api/access/caller.h"
#include "server/api/tcp/tls_context.h"

namespace shadow {

// Not thread-safe; neither of its sockets blocks. It holds 32 KB beside OpenSSL's.
class TlsLink {
 public:
  // Owns `tcp_fd`. The context goes on living with it.
  TlsLink(int tcp_fd, const TlsContext& context);
  ~TlsLink();
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  // True once the client has proved a certificate that the context takes. kPermissionDenied: it
  // has not; the message says what was wrong.
  absl::StatusOr<bool> Handshake();

  // After the handshake: who calls, and until when its certificate is good.
  Caller caller() const;
  absl::Time end_time() const;
  absl::Status VerifyBy(const TlsContext& context) const { return context.Verify(*ssl_); }

  // Owns `plain_fd`. After the handshake, once.
  void Attach(int plain_fd) { plain_fd_ = plain_fd; }

  // Passes what can be passed now, one buffer in each direction. False: one side has ended.
  bool Pass();

  int tcp_fd() const { return tcp_fd_; }
  int plain_fd() const { return plain_fd_; }  // -1: Attach was not called.
  // What to wait for (epoll) before Handshake or Pass is called again.
  uint32_t TcpEvents() const;
  uint32_t PlainEvents() const;

 private:
  // One record of TLS fits, so OpenSSL keeps no byte of one that was read.
  static constexpr size_t kBufferBytes = 16 << 10;
  struct Buffer {
    bool empty() const { return begin == end; }

    std::array<char, kBufferBytes> bytes;
    size_t begin = 0;
    size_t end = 0;
  };
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  // Whether the connection goes on after an operation that has returned `result`; notes what
  // OpenSSL waits for.
  bool GoesOn(int result);
  bool SendPlain();
  bool ReceiveTls();
  bool ReceivePlain();
  bool SendTls();

  const int tcp_fd_;
  int plain_fd_ = -1;
  const std::unique_ptr<SSL, Free> ssl_;
  Buffer to_plain_;
  Buffer to_tls_;
  bool wants_write_ = false;  // Of OpenSSL, whatever it was asked to do.
};

}  // namespace shadow
