// Where a cluster's API server is, and what the daemon shows it. Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

struct ApiPlace {
  std::string server;  // "https://10.0.0.1:443", without "/" at its end.
  // In which pods are; [a-z0-9-].
  std::string space;
  std::string token_file;  // Absolute path; empty: no token is sent.
  std::string ca_file;     // Absolute path; empty: the authorities that the host trusts.
};

// A variable of the daemon's environment; unset: it has none.
using ReadVariable = std::function<std::optional<std::string>(const std::string& name)>;

// What `spec` says, and otherwise what a pod finds of its own cluster: KUBERNETES_SERVICE_HOST and
// KUBERNETES_SERVICE_PORT, and token, ca.crt and namespace in `account_dir`.
// kFailedPrecondition: it says none, and the daemon is no pod.
absl::StatusOr<ApiPlace> FindApiPlace(
    const v1::KubernetesProvider& spec, const ReadVariable& variable,
    const std::string& account_dir = "/var/run/secrets/kubernetes.io/serviceaccount");

// Of the process.
std::optional<std::string> EnvironmentVariable(const std::string& name);

// The first `max_bytes` of a small file at most, without white space around. kUnavailable: it
// cannot be read, is larger, or is empty.
absl::StatusOr<std::string> ReadAccountFile(const std::string& path, size_t max_bytes);

}  // namespace shadow
