#include "client/connection/endpoint.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/connection/contexts.h"
#include "client/connection/credentials.h"
#include "client/errors.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDns = "dns:";
constexpr std::size_t kSocketPathMax = 107;  // sun_path, without its end.

bool IsHostAndPort(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = text.substr(colon + 1);
  uint32_t number = 0;
  return absl::SimpleAtoi(absl::string_view(port.data(), port.size()), &number) && number > 0 &&
         number <= UINT16_MAX;
}

struct Chosen {
  Target target;
  std::string address_source;
};

// From the file of contexts, if one is used.
absl::StatusOr<Chosen> Choose(const Arguments& arguments, const Console& console) {
  if (arguments.context.empty() && !arguments.address.empty()) return Chosen{{}, "--address"};
  if (arguments.context.empty() && !console.address_from_environment.empty()) {
    return Chosen{{.address = console.address_from_environment}, "$SHADOWD_ADDRESS"};
  }
  std::string name = arguments.context;
  std::string source = "--context";
  if (name.empty()) {
    name = console.context_from_environment;
    source = "$SHADOWCTL_CONTEXT";
  }
  const auto contexts = ReadContexts(console.contexts_path);
  if (!contexts.ok()) return contexts.status();
  if (name.empty()) {
    name = contexts->current;
    source = console.contexts_path + ": current-context";
  }
  if (name.empty()) {
    return Chosen{{.address = std::string(kDefaultAddress)}, "--address"};
  }
  const Context* context = contexts->Find(name);
  if (context == nullptr) return UnknownContext(*contexts, name, source);
  return Chosen{context->target,
                absl::StrCat(console.contexts_path, ": context ", PrintableText(name))};
}

void Override(const std::string& flag, std::string& value) {
  if (!flag.empty()) value = flag;
}

// Of a Unix socket the kernel tells who calls.
absl::Status CheckNoTls(const Arguments& arguments) {
  const std::pair<const char*, const std::string&> flags[] = {
      {"--cert", arguments.cert},
      {"--key", arguments.key},
      {"--ca", arguments.ca},
      {"--server-name", arguments.server_name}};
  for (const auto& [flag, value] : flags) {
    if (!value.empty()) return BadField(flag, "means nothing to an address unix:PATH");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAddress(const std::string& address, std::string_view source) {
  if (address.starts_with(kUnix) && address.size() > kUnix.size()) {
    if (address.size() - kUnix.size() <= kSocketPathMax) return absl::OkStatus();
    return BadField(source,
                    absl::StrCat("the path of a socket has at most ", kSocketPathMax, " bytes"));
  }
  if (address.starts_with(kDns) && IsHostAndPort(address.substr(kDns.size()))) {
    return absl::OkStatus();
  }
  return BadField(
      source, absl::StrCat("\"", PrintableText(address), "\" is not unix:PATH or dns:HOST:PORT"));
}

absl::StatusOr<Endpoint> ResolveEndpoint(const Arguments& arguments, const Console& console) {
  auto chosen = Choose(arguments, console);
  if (!chosen.ok()) return chosen.status();
  Target& target = chosen->target;
  Override(arguments.address, target.address);
  Override(arguments.cert, target.cert);
  Override(arguments.key, target.key);
  Override(arguments.ca, target.ca);
  Override(arguments.server_name, target.server_name);
  const std::string source = arguments.address.empty() ? chosen->address_source : "--address";
  if (absl::Status address = CheckAddress(target.address, source); !address.ok()) return address;
  if (target.address.starts_with(kUnix)) {
    if (absl::Status flags = CheckNoTls(arguments); !flags.ok()) return flags;
    return Endpoint{target.address, grpc::InsecureChannelCredentials()};
  }
  auto credentials = MakeCredentials(target, console);
  if (!credentials.ok()) return credentials.status();
  return Endpoint{target.address, *std::move(credentials), target.server_name};
}

Endpoint NoEndpoint() { return {std::string(kDefaultAddress), grpc::InsecureChannelCredentials()}; }

}  // namespace shadow
