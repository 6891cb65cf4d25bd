// A TLS client by hand, which does what no honest one does. Its calls block, for some seconds.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/tls/certificates.h"

namespace shadow {

class TlsClient {
 public:
  struct Options {
    const TestCertificate* certificate = nullptr;  // Must outlive this; none: it has none.
    int version_max = TLS1_3_VERSION;
    std::string protocol = "h2";  // ALPN; empty: it names none.
  };

  TlsClient(int port, const Options& options)
      : TlsClient(ConnectToLoopback(port, kTimeoutSeconds), options) {}
  TlsClient(TestSocket socket, const Options& options)
      : socket_(std::move(socket)),
        context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        ssl_(nullptr, SSL_free) {
    SSL_CTX_set_security_level(context_.get(), 0);  // Old versions are for the server to refuse.
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), options.version_max);
    if (options.certificate != nullptr) {
      SSL_CTX_use_certificate(context_.get(), &options.certificate->x509());
      SSL_CTX_use_PrivateKey(context_.get(), &options.certificate->key());
    }
    ssl_.reset(SSL_new(context_.get()));
    const std::string protocols = static_cast<char>(options.protocol.size()) + options.protocol;
    if (!options.protocol.empty()) {
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
    }
    SSL_set_fd(ssl_.get(), socket_.fd());
  }

  // Whether this side of the handshake went well: with TLS 1.3 the server checks later.
  bool Handshake() { return SSL_connect(ssl_.get()) == 1; }
  bool Send(const std::string& text) {
    return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  // What comes next; empty: the end, an error, or nothing within the time.
  std::string Receive() {
    char bytes[4096];
    const int got = SSL_read(ssl_.get(), bytes, sizeof(bytes));
    ERR_clear_error();
    return got > 0 ? std::string(bytes, static_cast<size_t>(got)) : "";
  }
  // The server has taken the certificate, as far as it answers `text` with the same.
  bool Echoes(const std::string& text) {
    if (!Handshake() || !Send(text)) return false;
    std::string all;
    for (std::string part = Receive(); !part.empty(); part = Receive()) {
      all += part;
      if (all.size() >= text.size()) break;
    }
    return all == text;
  }

  const TestSocket& socket() const { return socket_; }

 private:
  static constexpr int kTimeoutSeconds = 10;

  TestSocket socket_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace shadow
