// What TLS needs of files, and what it asks of a client's certificate.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/api/tcp/tls_files.h"

namespace shadow {

// The files as they were when it was loaded. TLS 1.2 at least, client certificates always, no
// resumption, so that each connection proves its certificate anew. Immutable, thread-safe.
class TlsContext {
 public:
  // kFailedPrecondition: a file cannot be read, is not what it should be, does not fit the others,
  // or everyone may read the key. The message names the field and the file.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(const TlsFiles& files);

  SSL_CTX* ssl() const { return ssl_.get(); }

  // Whether `client`, whose handshake some context has taken, is good by these files, now.
  absl::Status Verify(SSL& client) const;

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Owned = std::unique_ptr<SSL_CTX, Free>;

  explicit TlsContext(Owned ssl) : ssl_(std::move(ssl)) {}

  const Owned ssl_;
};

// The names that grants may give a role to: "CN=ops" of the subject, then "DNS:...", "URI:..." and
// "email:..." of its alternative names. Without those that are not printable ASCII or longer than
// 256 bytes, and without a CN where there are two.
std::vector<std::string> CertificateNames(const X509& certificate);

// When it expires.
absl::Time EndOf(const X509& certificate);

// What OpenSSL's queue of errors says first, which is then empty; `otherwise` if it is empty.
std::string TlsError(const std::string& otherwise);

}  // namespace shadow
