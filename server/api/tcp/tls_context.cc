#include "server/api/tcp/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr size_t kNameBytesMax = 256;
constexpr int kChainMax = 4;  // Authorities between a client and its root.
// Forward secrecy and authenticated encryption; those of TLS 1.3 have both.
constexpr char kCiphersOfTls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char kHttp2[] = {2, 'h', '2'};

absl::Status BadTlsFile(const char* field, const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("tls.", field, ": ", path, ": ", why));
}

// A key that every user of the host can read is no secret.
absl::Status CheckKeyMode(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return BadTlsFile("key_file", path, std::strerror(errno));
  if ((status.st_mode & S_IRWXO) == 0) return absl::OkStatus();
  return BadTlsFile("key_file", path, "everyone may read it; run chmod 640");
}

int ChooseHttp2(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                const unsigned char* in, unsigned in_length, void* /*context*/) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kHttp2, sizeof(kHttp2), in, in_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

void RestrictTls(SSL_CTX* ssl) {
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(ssl, kCiphersOfTls12);
  SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 0);
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(ssl, kChainMax);
  SSL_CTX_set_alpn_select_cb(ssl, ChooseHttp2, nullptr);
}

// The authorities of `path`, and their revocation lists.
absl::Status LoadAuthorities(const std::string& path, SSL_CTX* ssl) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(path.c_str(), "r"), BIO_free);
  if (file == nullptr) return BadTlsFile("client_ca_file", path, TlsError("cannot be read"));
  auto* const infos = PEM_X509_INFO_read_bio(file.get(), nullptr, nullptr, nullptr);
  if (infos == nullptr) return BadTlsFile("client_ca_file", path, TlsError("is no PEM"));
  X509_STORE* store = SSL_CTX_get_cert_store(ssl);
  bool loaded = true;
  int authorities = 0;
  bool lists = false;
  for (int i = 0; i < sk_X509_INFO_num(infos); ++i) {
    const X509_INFO* info = sk_X509_INFO_value(infos, i);
    if (info->x509 != nullptr) {
      loaded = loaded && X509_STORE_add_cert(store, info->x509) == 1 &&
               SSL_CTX_add_client_CA(ssl, info->x509) == 1;
      ++authorities;
    }
    if (info->crl != nullptr) {
      loaded = loaded && X509_STORE_add_crl(store, info->crl) == 1;
      lists = true;
    }
  }
  sk_X509_INFO_pop_free(infos, X509_INFO_free);
  if (!loaded) return BadTlsFile("client_ca_file", path, TlsError("cannot be used"));
  if (authorities == 0) return BadTlsFile("client_ca_file", path, "has no certificate");
  if (lists) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return absl::OkStatus();
}

void AddCertificateName(const char* kind, const ASN1_STRING* text,
                        std::vector<std::string>& names) {
  const auto length = static_cast<size_t>(ASN1_STRING_length(text));
  const std::string name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), length);
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (printable && !name.empty() && name.size() <= kNameBytesMax) {
    names.push_back(absl::StrCat(kind, name));
  }
}

void AddCommonName(const X509& certificate, std::vector<std::string>& names) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return;
  unsigned char* utf8 = nullptr;  // Whatever the encoding is.
  const int length =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (length < 0) return;
  ASN1_STRING* text = ASN1_STRING_new();
  if (text != nullptr && ASN1_STRING_set(text, utf8, length) == 1)
    AddCertificateName("CN=", text, names);
  ASN1_STRING_free(text);
  OPENSSL_free(utf8);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(const TlsFiles& files) {
  ERR_clear_error();
  Owned ssl(SSL_CTX_new(TLS_server_method()));
  if (ssl == nullptr) return absl::ResourceExhaustedError(TlsError("no memory for TLS"));
  RestrictTls(ssl.get());
  if (SSL_CTX_use_certificate_chain_file(ssl.get(), files.certificate.c_str()) != 1) {
    return BadTlsFile("certificate_file", files.certificate, TlsError("cannot be used"));
  }
  if (absl::Status mode = CheckKeyMode(files.key); !mode.ok()) return mode;
  if (SSL_CTX_use_PrivateKey_file(ssl.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ssl.get()) != 1) {
    return BadTlsFile("key_file", files.key, TlsError("cannot be used"));
  }
  if (absl::Status loaded = LoadAuthorities(files.client_ca, ssl.get()); !loaded.ok()) {
    return loaded;
  }
  ERR_clear_error();
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(ssl)));
}

absl::Status TlsContext::Verify(SSL& client) const {
  X509* certificate = SSL_get0_peer_certificate(&client);
  if (certificate == nullptr) return absl::PermissionDeniedError("there is no certificate");
  const std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> check(X509_STORE_CTX_new(),
                                                                         X509_STORE_CTX_free);
  if (check == nullptr || X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(ssl_.get()),
                                              certificate, SSL_get_peer_cert_chain(&client)) != 1) {
    return absl::ResourceExhaustedError("no memory to check a certificate");
  }
  X509_STORE_CTX_set_default(check.get(), "ssl_client");
  X509_STORE_CTX_set_depth(check.get(), kChainMax);
  const bool good = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  if (good) return absl::OkStatus();
  return absl::PermissionDeniedError(
      X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())));
}

std::vector<std::string> CertificateNames(const X509& certificate) {
  std::vector<std::string> names;
  AddCommonName(certificate, names);
  auto* const others = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(others); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(others, i);
    if (name->type == GEN_DNS) AddCertificateName("DNS:", name->d.dNSName, names);
    if (name->type == GEN_URI) AddCertificateName("URI:", name->d.uniformResourceIdentifier, names);
    if (name->type == GEN_EMAIL) AddCertificateName("email:", name->d.rfc822Name, names);
  }
  GENERAL_NAMES_free(others);
  return names;
}

absl::Time EndOf(const X509& certificate) {
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &end) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&end));
}

std::string TlsError(const std::string& otherwise) {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  const std::string text = ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code))
                           : reason == nullptr    ? otherwise
                                                  : reason;
  ERR_clear_error();
  return text;
}

}  // namespace shadow
