// The daemons that a user knows, by name, as kubectl has them: a YAML file.
//
//   current-context: prod
//   contexts:
//     - name: prod
//       address: dns:shadow.example:7443
//       cert: /home/me/ops.pem
//       key: /home/me/ops.key
//       ca: /home/me/shadow-ca.pem
//       server-name: shadow.example
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

// What reaches a daemon. Empty: not said.
struct Target {
  std::string address = {};  // "unix:PATH" or "dns:HOST:PORT"
  std::string cert = {};     // Files of PEM.
  std::string key = {};
  std::string ca = {};
  std::string server_name = {};  // In the daemon's certificate; empty: that of the address.
};

struct Context {
  std::string name;
  Target target;
};

// In the order of the file. Names are unique.
struct Contexts {
  std::string current;  // Empty: none.
  std::vector<Context> contexts;

  const Context* Find(std::string_view name) const;
  Context* Find(std::string_view name);
};

// Relative files are of the directory of `path`. None, where there is no such file.
// kInvalidArgument: "PATH: line N: ..." what is wrong there; or it cannot be read.
absl::StatusOr<Contexts> ReadContexts(const std::string& path);

// Replaces `path`, mode 0600, or makes it with its directory. kUnavailable: it cannot be written;
// what was there still is.
absl::Status WriteContexts(const Contexts& contexts, const std::string& path);

// kInvalidArgument with those that are there, where there is no `name`. `source`: where it comes
// from, for the message.
absl::Status UnknownContext(const Contexts& contexts, std::string_view name,
                            std::string_view source);

}  // namespace shadow
