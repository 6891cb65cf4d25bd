// The files that TLS needs.
#pragma once

#include <string>

namespace shadow {

// Paths of PEM files, as v1::Tls says.
struct TlsFiles {
  std::string certificate = {};
  std::string key = {};
  std::string client_ca = {};

  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

}  // namespace shadow
