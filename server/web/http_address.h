// Where HTTP listens: the loopback interface or a Unix socket.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

struct HttpAddress {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string path;  // Of a Unix socket; empty: TCP.
};

// Of "unix:/ABSOLUTE/PATH", "127.0.0.1:9464" or "[::1]:9464"; port 0: a free one. kInvalidArgument:
// a FieldError of http_listen. Names are not looked up.
absl::StatusOr<HttpAddress> ParseHttpAddress(const std::string& listen);

// A socket that listens there. The file of a Unix socket that nobody serves any more is replaced;
// its mode is 0660. kAlreadyExists: somebody listens there. kInvalidArgument: something else than a
// socket has that path.
absl::StatusOr<int> ListenAt(const HttpAddress& address);

// As ParseHttpAddress takes it, of a socket that listens.
std::string NameOfListener(int socket_fd);

// Whether a browser on this host can mean this server by that Host header: an address of loopback
// or "localhost", with any port. Another name can be made to point here by whoever owns it.
bool IsLoopbackHost(std::string_view host);

}  // namespace shadow
