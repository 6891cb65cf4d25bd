#include "server/balancers/haproxy_address.h"

#include <arpa/inet.h>

#include <charconv>

#include "server/balancers/haproxy_socket.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr int kPortMax = 65535;

bool IsCanonical(int family, const std::string& ip) {
  in6_addr binary{};  // Room for both families.
  char text[INET6_ADDRSTRLEN] = {};
  return inet_pton(family, ip.c_str(), &binary) == 1 &&
         inet_ntop(family, &binary, text, sizeof(text)) != nullptr && ip == text;
}

}  // namespace

absl::Status CheckMemberAddress(std::string_view address) {
  const HostPort parts = SplitMemberAddress(address);
  const int family = address.starts_with("[") ? AF_INET6 : AF_INET;
  int port = 0;
  const char* end = parts.port.data() + parts.port.size();
  const auto parsed = std::from_chars(parts.port.data(), end, port);
  if (IsCanonical(family, parts.ip) && parsed.ec == std::errc() && parsed.ptr == end && port >= 1 &&
      port <= kPortMax && std::to_string(port) == parts.port) {
    return absl::OkStatus();
  }
  return FieldError("address", QuoteReply(address) +
                                   " is not an address: 127.0.0.1:8080 or [::1]:8080 is wanted");
}

HostPort SplitMemberAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return {};
  std::string_view ip = address.substr(0, colon);
  if (ip.starts_with("[") && ip.ends_with("]")) ip = ip.substr(1, ip.size() - 2);
  return {.ip = std::string(ip), .port = std::string(address.substr(colon + 1))};
}

}  // namespace shadow
