// What a daemon that serves TCP has, and clients of it, in a directory: authorities, certificates,
// keys.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "server/api/tcp/tls_context.h"
#include "tests/fakes/tls/certificates.h"
#include "tests/storage/temp_directory.h"

namespace shadow {

inline std::string ReadPem(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The daemon is 127.0.0.1 and localhost. One thread.
class TestTlsFiles {
 public:
  TestTlsFiles() {
    server_.WriteCertificate(directory_.File("server.pem"));
    server_.WriteKey(directory_.File("server.key"));
    server_authority_.WriteCertificate(directory_.File("server-ca.pem"));
    clients_.WriteCertificate(directory_.File("client-ca.pem"));
  }

  TlsFiles files() const {
    return {.certificate = directory_.File("server.pem"),
            .key = directory_.File("server.key"),
            .client_ca = directory_.File("client-ca.pem")};
  }
  std::string server_ca() const { return directory_.File("server-ca.pem"); }
  std::string Path(const std::string& name) const { return directory_.File(name); }

  const TestCertificate& clients() const { return clients_; }  // The authority.
  TestCertificate Client(const TestCertificateSpec& spec) const { return {spec, clients_}; }

  // Writes NAME.pem and NAME.key of a client.
  void Write(const std::string& name, const TestCertificate& client) const {
    client.WriteCertificate(directory_.File(name + ".pem"));
    client.WriteKey(directory_.File(name + ".key"));
  }

 private:
  const TempDirectory directory_;
  const TestCertificate server_authority_{{.common_name = "servers", .authority = true}};
  const TestCertificate server_{
      {.common_name = "shadowd", .alternative_names = "IP:127.0.0.1,DNS:localhost"},
      server_authority_};
  const TestCertificate clients_{{.common_name = "clients", .authority = true}};
};

}  // namespace shadow
