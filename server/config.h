// The daemon's settings: flags over the configuration file over the defaults.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/api/access/grants.h"
#include "server/api/tcp/tls_files.h"
#include "shadow/v1/config.pb.h"

namespace shadow {

struct Config {
  std::string socket_path;  // Of `listen`, without "unix:".
  std::string state_dir;
  Grants grants;
  std::string tcp_address;  // Of `listen_tcp`; empty: none.
  TlsFiles tls;
  std::string http_listen;  // ParseHttpAddress; empty: no HTTP.
  absl::Duration sample_retention;
  absl::Duration rollup_5m_retention;
  absl::Duration rollup_1h_retention;
  absl::Duration decision_retention;
  absl::Duration event_retention;
  int64_t events_max = 0;
  int effect_workers = 0;
  int instances_max = 0;
  int64_t instance_log_max_bytes = 0;
  std::string log_level;
  bool enable_reflection = false;
  std::optional<v1::KubernetesLease> kubernetes_lease;  // Its defaults are filled in.
  bool adopt_unknown = false;                           // --recover=adopt: see AdoptForeign.
  bool end_unknown = false;                             // --recover=end: see EndForeign.
  bool adopt_copy = false;                              // --recover=adopt-copy: see Store::Options.
};

// Reads the text protobuf `path`. kInvalidArgument: "PATH:LINE:COLUMN: ..." for what is no field or
// no value, or not UTF-8 text; kNotFound, kPermissionDenied: the file.
absl::StatusOr<v1::DaemonConfig> ReadConfig(const std::string& path);

// Fills in the defaults. kInvalidArgument: a FieldError that names the field.
absl::StatusOr<Config> ResolveConfig(const v1::DaemonConfig& config);

// The fields in which `fresh` differs from `running` and that count only after a restart.
std::vector<std::string> NeedRestart(const Config& running, const Config& fresh);

}  // namespace shadow
