// Member addresses, as HAProxy prints them.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace shadow {

struct HostPort {
  std::string ip;  // "127.0.0.1", "::1"
  std::string port;
};

// kInvalidArgument: a FieldError for "address" unless it is "IPV4:PORT" or "[IPV6]:PORT", in the
// one spelling that HAProxy prints (no leading zeros, IPv6 compressed): it is compared as text.
absl::Status CheckMemberAddress(std::string_view address);

// Of a checked address.
HostPort SplitMemberAddress(std::string_view address);

}  // namespace shadow
