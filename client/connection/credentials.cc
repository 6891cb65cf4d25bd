#include "client/connection/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <ctime>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/input/manifest.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::size_t kPemBytesMax = 1 << 20;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio BytesOf(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
}

absl::StatusOr<std::string> ReadPem(const std::string& path, const char* flag) {
  if (path.empty()) {
    return BadField(flag,
                    "an address dns:HOST:PORT needs --cert, --key and --ca, or a context "
                    "that names them");
  }
  return ReadInput(path, std::cin, kPemBytesMax, flag);
}

absl::Status BadPem(const char* flag, const std::string& path, const std::string& why) {
  return BadField(flag, absl::StrCat(PrintableText(path), ": ", why));
}

Certificate ParseCertificate(const std::string& pem) {
  const Bio bytes = BytesOf(pem);
  Certificate certificate(PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr), X509_free);
  ERR_clear_error();
  return certificate;
}

// Asks nobody for a pass phrase.
int NoPassPhrase(char* /*out*/, int /*size*/, int /*writes*/, void* /*context*/) { return -1; }

Key ParseKey(const std::string& pem) {
  const Bio bytes = BytesOf(pem);
  Key key(PEM_read_bio_PrivateKey(bytes.get(), nullptr, NoPassPhrase, nullptr), EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? absl::FromTimeT(timegm(&parts))
                                            : absl::InfinitePast();
}

absl::Status CheckDates(const X509& certificate, const std::string& path, absl::Time now) {
  const absl::Time begin = TimeOf(X509_get0_notBefore(&certificate));
  const absl::Time end = TimeOf(X509_get0_notAfter(&certificate));
  if (now >= end) return BadPem("--cert", path, "it has expired, at " + TimeText(end));
  if (now < begin) return BadPem("--cert", path, "it is not valid before " + TimeText(begin));
  return absl::OkStatus();
}

void WarnOfOpenKey(const std::string& path, const Console& console) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return;
  console.err << "warning: " << PrintableText(path)
              << ": everyone on this host may read this key; run chmod 600\n";
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const Target& target,
                                                                          const Console& console) {
  const auto cert = ReadPem(target.cert, "--cert");
  if (!cert.ok()) return cert.status();
  const auto key = ReadPem(target.key, "--key");
  if (!key.ok()) return key.status();
  const auto ca = ReadPem(target.ca, "--ca");
  if (!ca.ok()) return ca.status();
  const Certificate certificate = ParseCertificate(*cert);
  if (certificate == nullptr) return BadPem("--cert", target.cert, "is no certificate in PEM");
  if (absl::Status dates = CheckDates(*certificate, target.cert, console.now()); !dates.ok()) {
    return dates;
  }
  const Key parsed_key = ParseKey(*key);
  if (parsed_key == nullptr) {
    return BadPem("--key", target.key, "is no private key in PEM without a pass phrase");
  }
  if (X509_check_private_key(certificate.get(), parsed_key.get()) != 1) {
    ERR_clear_error();
    return BadPem("--key", target.key,
                  absl::StrCat("does not belong to the certificate ", PrintableText(target.cert)));
  }
  if (ParseCertificate(*ca) == nullptr) {
    return BadPem("--ca", target.ca, "is no certificate in PEM");
  }
  WarnOfOpenKey(target.key, console);
  return grpc::SslCredentials(
      {.pem_root_certs = *ca, .pem_private_key = *key, .pem_cert_chain = *cert});
}

}  // namespace shadow
