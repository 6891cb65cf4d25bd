#include "server/api/tcp/tcp_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {

absl::StatusOr<TcpAddress> ParseTcpAddress(const std::string& text) {
  const absl::Status malformed = FieldError(
      "listen_tcp",
      absl::StrCat("\"", text, "\" is not ADDRESS:PORT, as 192.0.2.1:7443 or [::]:7443"));
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) ||
      port > UINT16_MAX) {
    return malformed;
  }
  std::string host = text.substr(0, colon);
  TcpAddress parsed;
  sockaddr_in ipv4{};
  if (inet_pton(AF_INET, host.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(static_cast<uint16_t>(port));
    parsed.length = sizeof(ipv4);
    std::memcpy(&parsed.address, &ipv4, sizeof(ipv4));
    return parsed;
  }
  if (!host.starts_with('[') || !host.ends_with(']')) return malformed;
  host = host.substr(1, host.size() - 2);
  sockaddr_in6 ipv6{};
  if (inet_pton(AF_INET6, host.c_str(), &ipv6.sin6_addr) != 1) return malformed;
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(static_cast<uint16_t>(port));
  parsed.length = sizeof(ipv6);
  std::memcpy(&parsed.address, &ipv6, sizeof(ipv6));
  return parsed;
}

std::string HostOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
              sizeof(text));
  }
  return text;
}

}  // namespace shadow
