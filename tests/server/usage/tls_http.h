// An HTTPS server on loopback, for one test of its own certificate.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/http2_client.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/tls/certificates.h"

namespace shadow {

// One connection after the other. Takes HTTP/2 where the client offers it and `http2` is set; then
// the answer is a body, sent with status 200. Thread-safe.
class TlsHttp {
 public:
  struct Options {
    bool http2 = false;
    bool endless = false;  // Repeats the answer until the client hangs up.
  };
  // Gets the request as it came; of HTTP/2 frames with packed headers.
  using Answer = std::function<std::string(const std::string& request)>;

  TlsHttp(const TestCertificate& certificate, Answer answer, Options options)
      : answer_(std::move(answer)),
        options_(options),
        context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free),
        listener_(ListenOnLoopback(0)),
        port_(LocalPort(listener_)) {
    SSL_CTX_use_certificate(context_.get(), &certificate.x509());
    SSL_CTX_use_PrivateKey(context_.get(), &certificate.key());
    if (options_.http2) SSL_CTX_set_alpn_select_cb(context_.get(), &ChooseHttp2, nullptr);
    thread_ = std::thread([this] { Serve(); });
  }
  TlsHttp(const TestCertificate& certificate, Answer answer)
      : TlsHttp(certificate, std::move(answer), Options()) {}
  TlsHttp(const TlsHttp&) = delete;
  TlsHttp& operator=(const TlsHttp&) = delete;
  ~TlsHttp() {
    shutdown(listener_.fd(), SHUT_RDWR);  // accept returns then.
    thread_.join();
  }

  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  static int ChooseHttp2(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                         const unsigned char* offered, unsigned offered_size, void* /*context*/) {
    static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    unsigned char* found = nullptr;
    const int done =
        SSL_select_next_proto(&found, size, kHttp2, sizeof(kHttp2), offered, offered_size);
    *chosen = found;
    return done == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  static bool SendTls(SSL* ssl, const std::string& bytes) {
    const bool sent = SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())) ==
                      static_cast<int>(bytes.size());
    ERR_clear_error();
    return sent;
  }

  // Whether the headers of a request are there as a whole.
  bool Asked(const std::string& got) const {
    if (!options_.http2) return got.find("\r\n\r\n") != std::string::npos;
    static constexpr size_t kPrefaceBytes = 24;
    for (size_t at = kPrefaceBytes; at + 9 <= got.size();) {
      const auto byte = [&](size_t i) { return static_cast<unsigned char>(got[at + i]); };
      if (byte(3) == http2::kHeaders) return true;
      at += 9 + (size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2));
    }
    return false;
  }

  std::string Packed(const std::string& body) const {
    if (!options_.http2) return body;
    static constexpr char kStatus200 = '\x88';  // In the static table of HPACK.
    return http2::Frame(http2::kSettings, 0, 0, "") +
           http2::Frame(http2::kSettings, http2::kAck, 0, "") +
           http2::Frame(http2::kHeaders, http2::kEndHeaders, 1, std::string(1, kStatus200)) +
           http2::Frame(http2::kData, http2::kEndStream, 1, body);
  }

  void Serve() {
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);  // OpenSSL writes without MSG_NOSIGNAL.
    while (true) {
      const TestSocket socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) return;
      const timeval timeout{.tv_sec = 5, .tv_usec = 0};
      setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
      setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
      const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), SSL_free);
      SSL_set_fd(ssl.get(), socket.fd());
      if (SSL_accept(ssl.get()) == 1) Reply(ssl.get());
      ERR_clear_error();
    }
  }

  void Reply(SSL* ssl) {
    std::string request;
    while (!Asked(request)) {
      char bytes[4096];
      const int got = SSL_read(ssl, bytes, sizeof(bytes));
      if (got <= 0) return;
      request.append(bytes, static_cast<size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const std::string answer = Packed(answer_(request));
    while (SendTls(ssl, answer) && options_.endless) {
    }
    if (!options_.endless) SSL_shutdown(ssl);
    // What is closed with unread bytes is reset, and the answer with it.
    char bytes[4096];
    while (!options_.endless && SSL_read(ssl, bytes, sizeof(bytes)) > 0) {
    }
  }

  const Answer answer_;
  const Options options_;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  const TestSocket listener_;
  const int port_;
  mutable std::mutex mutex_;  // Guards requests_.
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace shadow
