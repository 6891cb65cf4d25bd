#include "server/api/tcp/tls_link.h"

#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace shadow {

TlsLink::TlsLink(int tcp_fd, const TlsContext& context)
    : tcp_fd_(tcp_fd), ssl_(SSL_new(context.ssl())) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), tcp_fd) != 1) return;
  SSL_set_accept_state(ssl_.get());
}

TlsLink::~TlsLink() {
  // The last word, if there is room for it; nobody waits for an answer.
  if (plain_fd_ >= 0) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  close(tcp_fd_);
  if (plain_fd_ >= 0) close(plain_fd_);
}

bool TlsLink::GoesOn(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  return wants_write_ || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_NONE;
}

absl::StatusOr<bool> TlsLink::Handshake() {
  if (ssl_ == nullptr) return absl::ResourceExhaustedError("no memory for TLS");
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    wants_write_ = false;
    return true;
  }
  if (GoesOn(result)) return false;
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) {
    ERR_clear_error();
    return absl::PermissionDeniedError(X509_verify_cert_error_string(verified));
  }
  return absl::PermissionDeniedError(TlsError("the client has closed the connection"));
}

Caller TlsLink::caller() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  return {.certificates = CertificateNames(*certificate)};
}

absl::Time TlsLink::end_time() const { return EndOf(*SSL_get0_peer_certificate(ssl_.get())); }

bool TlsLink::SendPlain() {
  while (!to_plain_.empty()) {
    const ssize_t sent = send(plain_fd_, to_plain_.bytes.data() + to_plain_.begin,
                              to_plain_.end - to_plain_.begin, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    to_plain_.begin += static_cast<size_t>(sent);
  }
  return true;
}

bool TlsLink::ReceiveTls() {
  size_t length = 0;
  const int result = SSL_read_ex(ssl_.get(), to_plain_.bytes.data(), kBufferBytes, &length);
  to_plain_.begin = 0;
  to_plain_.end = result == 1 ? length : 0;
  return result == 1 || GoesOn(result);
}

bool TlsLink::ReceivePlain() {
  const ssize_t got = recv(plain_fd_, to_tls_.bytes.data(), kBufferBytes, 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  to_tls_.begin = 0;
  to_tls_.end = static_cast<size_t>(got);
  return got > 0;
}

bool TlsLink::SendTls() {
  while (!to_tls_.empty()) {
    size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), to_tls_.bytes.data() + to_tls_.begin,
                                    to_tls_.end - to_tls_.begin, &sent);
    if (result != 1) return GoesOn(result);
    to_tls_.begin += sent;
  }
  return true;
}

bool TlsLink::Pass() {
  ERR_clear_error();
  wants_write_ = false;
  // First what waits, so that there is room; a client who does not take its answers is not heard.
  if (!SendTls() || !SendPlain()) return false;
  if (to_tls_.empty() && !(ReceivePlain() && SendTls())) return false;
  return !to_plain_.empty() || !to_tls_.empty() || (ReceiveTls() && SendPlain());
}

uint32_t TlsLink::TcpEvents() const {
  const bool reads = plain_fd_ < 0 || (to_plain_.empty() && to_tls_.empty());
  return (reads ? uint32_t{EPOLLIN} : 0) |
         (wants_write_ || !to_tls_.empty() ? uint32_t{EPOLLOUT} : 0);
}

uint32_t TlsLink::PlainEvents() const {
  return (to_tls_.empty() ? uint32_t{EPOLLIN} : 0) | (to_plain_.empty() ? 0 : uint32_t{EPOLLOUT});
}

}  // namespace shadow
