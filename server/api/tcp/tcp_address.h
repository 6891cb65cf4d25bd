// Where the API listens on TCP.
#pragma once

#include <sys/socket.h>

#include <string>

#include "absl/status/statusor.h"

namespace shadow {

struct TcpAddress {
  sockaddr_storage address{};
  socklen_t length = 0;
};

// Of "192.0.2.1:7443" or "[2001:db8::1]:7443"; port 0: a free one. kInvalidArgument: a FieldError
// of listen_tcp. Names are not looked up.
absl::StatusOr<TcpAddress> ParseTcpAddress(const std::string& text);

// "192.0.2.1" of such an address, without its port.
std::string HostOf(const sockaddr_storage& address);

}  // namespace shadow
