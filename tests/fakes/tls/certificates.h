// Certificates for tests: authorities, and what they sign, written as PEM files.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>

namespace shadow {

struct TestCertificateSpec {
  std::string common_name;
  std::string alternative_names = "";  // As OpenSSL writes them: "DNS:a,URI:spiffe://b".
  bool authority = false;
  int begins_seconds_from_now = -60;
  int ends_seconds_from_now = 3600;
};

// One key and its certificate. Throws std::runtime_error where OpenSSL fails.
class TestCertificate {
 public:
  // Signed by itself.
  explicit TestCertificate(const TestCertificateSpec& spec) : TestCertificate(spec, nullptr) {}
  TestCertificate(const TestCertificateSpec& spec, const TestCertificate& issuer)
      : TestCertificate(spec, &issuer) {}

  // Mode 0600, or `mode`.
  void WriteKey(const std::string& path, mode_t mode = 0600) const {
    const File file(path, "w");
    Must(PEM_write_PrivateKey(file.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr));
    chmod(path.c_str(), mode);
  }
  void WriteCertificate(const std::string& path, const char* mode = "w") const {
    const File file(path, mode);
    Must(PEM_write_X509(file.get(), certificate_.get()));
  }
  // Appends a list of this authority that revokes `revoked`.
  void AppendRevocation(const std::string& path, const TestCertificate& revoked) const {
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(
        ASN1_TIME_adj(nullptr, std::time(nullptr), 0, -60), ASN1_TIME_free);
    X509_CRL_set_version(list.get(), 1);
    Must(X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get())));
    Must(X509_CRL_set1_lastUpdate(list.get(), time.get()));
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked.certificate_.get()));
    X509_REVOKED_set_revocationDate(entry, time.get());
    Must(X509_CRL_add0_revoked(list.get(), entry));
    ASN1_TIME_adj(time.get(), std::time(nullptr), 1, 0);
    Must(X509_CRL_set1_nextUpdate(list.get(), time.get()));
    Must(X509_CRL_sign(list.get(), key_.get(), EVP_sha256()) > 0);
    const File file(path, "a");
    Must(PEM_write_X509_CRL(file.get(), list.get()));
  }

  X509& x509() const { return *certificate_; }
  EVP_PKEY& key() const { return *key_; }

 private:
  class File {
   public:
    File(const std::string& path, const char* mode) : file_(std::fopen(path.c_str(), mode)) {
      Must(file_ != nullptr);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { std::fclose(file_); }
    std::FILE* get() const { return file_; }

   private:
    std::FILE* file_;
  };

  static void Must(bool done) {
    if (!done) throw std::runtime_error("a certificate for a test cannot be made");
  }
  static void Must(int done) { Must(done == 1); }

  TestCertificate(const TestCertificateSpec& spec, const TestCertificate* issuer)
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
    X509* certificate = certificate_.get();
    X509_set_version(certificate, 2);
    unsigned char serial[8] = {};
    Must(RAND_bytes(serial, sizeof(serial)));
    serial[0] &= 0x7f;
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
        BN_bin2bn(serial, sizeof(serial), nullptr), BN_free);
    BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
    X509_gmtime_adj(X509_getm_notBefore(certificate), spec.begins_seconds_from_now);
    X509_gmtime_adj(X509_getm_notAfter(certificate), spec.ends_seconds_from_now);
    X509_set_pubkey(certificate, key_.get());
    X509_NAME* name = X509_get_subject_name(certificate);
    if (!spec.common_name.empty()) {
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                                 static_cast<int>(spec.common_name.size()), -1, 0);
    }
    const TestCertificate& signer = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate_.get()));
    Extend(NID_basic_constraints, spec.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (spec.authority) Extend(NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!spec.alternative_names.empty()) {
      Extend(NID_subject_alt_name, spec.alternative_names.c_str());
    }
    Must(X509_sign(certificate, signer.key_.get(), EVP_sha256()) > 0);
  }

  void Extend(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    Must(extension != nullptr && X509_add_ext(certificate_.get(), extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace shadow
