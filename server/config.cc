#include "server/config.h"

#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/api/tcp/tcp_address.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"
#include "server/core/spec/kinds.h"
#include "server/core/text.h"
#include "server/core/time_proto.h"
#include "server/web/http_address.h"

namespace shadow {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
constexpr char kDefaultListen[] = "unix:/run/shadowd/shadowd.sock";
constexpr char kDefaultStateDir[] = "/var/lib/shadowd";
constexpr absl::Duration kRetentionMin = absl::Hours(1);
constexpr absl::Duration kRetentionMax = absl::Hours(24 * 3660);
constexpr int64_t kFewestEventsMax = 1000;
constexpr int64_t kMostEventsMax = 1'000'000'000;
constexpr int64_t kLogBytesMin = 4096;
constexpr int64_t kLogBytesMax = int64_t{1} << 30;
constexpr size_t kLeaseNameMaxBytes = 253;
constexpr absl::Duration kLeaseMin = absl::Seconds(3);
constexpr absl::Duration kLeaseMax = absl::Hours(1);
constexpr absl::Duration kRenewDeadlineMin = absl::Seconds(1);

// Keeps the first error, with its place.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const std::string& path) : path_(path) {}
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = absl::StrCat(path_, ":", line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  const std::string& path_;
  std::string text_;
};

absl::StatusOr<absl::Duration> Retention(const char* field, bool given,
                                         const google::protobuf::Duration& value,
                                         absl::Duration otherwise) {
  if (!given) return otherwise;
  const absl::Duration retention = FromProto(value);
  if (retention >= kRetentionMin && retention <= kRetentionMax) return retention;
  return FieldError(
      field, absl::StrCat(absl::FormatDuration(retention), " is not between 1 h and 3660 days"));
}

absl::Status ResolveRetentions(const v1::DaemonConfig& file, Config& config) {
  struct Row {
    const char* field;
    bool given;
    const google::protobuf::Duration& value;
    int days;
    absl::Duration& retention;
  };
  const Row rows[] = {
      {"sample_retention", file.has_sample_retention(), file.sample_retention(), 35,
       config.sample_retention},
      {"rollup_5m_retention", file.has_rollup_5m_retention(), file.rollup_5m_retention(), 90,
       config.rollup_5m_retention},
      {"rollup_1h_retention", file.has_rollup_1h_retention(), file.rollup_1h_retention(), 400,
       config.rollup_1h_retention},
      {"decision_retention", file.has_decision_retention(), file.decision_retention(), 7,
       config.decision_retention},
      {"event_retention", file.has_event_retention(), file.event_retention(), 7,
       config.event_retention},
  };
  for (const Row& row : rows) {
    const auto retention = Retention(row.field, row.given, row.value, absl::Hours(24 * row.days));
    if (!retention.ok()) return retention.status();
    row.retention = *retention;
  }
  return absl::OkStatus();
}

absl::Status CheckRange(const char* field, int64_t value, int64_t minimum, int64_t maximum) {
  if (value >= minimum && value <= maximum) return absl::OkStatus();
  return FieldError(field, absl::StrCat(value, " is not between ", minimum, " and ", maximum));
}

absl::Status ResolvePaths(const v1::DaemonConfig& file, Config& config) {
  const std::string listen = file.listen().empty() ? kDefaultListen : file.listen();
  if (!listen.starts_with(kUnixScheme) || listen.size() == kUnixScheme.size()) {
    return FieldError(
        "listen",
        absl::StrCat("\"", listen, "\" is not unix:PATH; TCP has a field of its own, listen_tcp"));
  }
  config.socket_path = listen.substr(kUnixScheme.size());
  if (config.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return FieldError("listen",
                      absl::StrCat("the path has ", config.socket_path.size(),
                                   " bytes; a socket takes ", sizeof(sockaddr_un::sun_path) - 1));
  }
  config.state_dir = file.state_dir().empty() ? kDefaultStateDir : file.state_dir();
  config.log_level = file.log_level().empty() ? "info" : file.log_level();
  const std::set<std::string> levels = {"trace", "debug", "info", "warning", "error"};
  if (levels.contains(config.log_level)) return absl::OkStatus();
  return FieldError("log_level", absl::StrCat("\"", config.log_level,
                                              "\" is not trace, debug, info, warning or error"));
}

absl::Status ResolveTcp(const v1::DaemonConfig& file, Config& config) {
  config.tcp_address = file.listen_tcp();
  config.tls = {.certificate = file.tls().certificate_file(),
                .key = file.tls().key_file(),
                .client_ca = file.tls().client_ca_file()};
  if (config.tcp_address.empty()) {
    return file.has_tls() ? FieldError("tls", "is for listen_tcp, which is not set")
                          : absl::OkStatus();
  }
  const std::pair<const char*, const std::string&> files[] = {
      {"tls.certificate_file", config.tls.certificate},
      {"tls.key_file", config.tls.key},
      {"tls.client_ca_file", config.tls.client_ca}};
  for (const auto& [field, path] : files) {
    if (path.empty()) return FieldError(field, "is not set; listen_tcp needs it");
  }
  return ParseTcpAddress(config.tcp_address).status();
}

// It becomes a part of a URL.
bool IsLeaseName(std::string_view name) {
  return name.size() <= kLeaseNameMaxBytes && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '-' || c == '.'; });
}

// Where it is, by the rules of a provider.
absl::Status CheckLeasePlace(const v1::KubernetesLease& lease) {
  v1::Provider place;
  place.mutable_kubernetes()->set_namespace_(lease.namespace_());
  place.mutable_kubernetes()->set_api_server(lease.api_server());
  place.mutable_kubernetes()->set_token_file(lease.token_file());
  place.mutable_kubernetes()->set_ca_file(lease.ca_file());
  FieldChecker check;
  KindOf(place).compile("lease", place, check);
  if (check.ok()) return absl::OkStatus();
  const std::string field = ErrorField(check.status());  // "lease.kubernetes.api_server"
  const std::string text(check.status().message());      // "FIELD: what"
  return FieldError(absl::StrCat("kubernetes_lease", field.substr(field.rfind('.'))),
                    text.substr(field.size() + std::string_view(": ").size()));
}

absl::Status ResolveLease(const v1::DaemonConfig& file, Config& config) {
  if (!file.has_kubernetes_lease()) return absl::OkStatus();
  v1::KubernetesLease lease = file.kubernetes_lease();
  if (lease.name().empty()) lease.set_name("shadowd");
  if (!IsLeaseName(lease.name())) {
    return FieldError("kubernetes_lease.name",
                      absl::StrCat(Quoted(lease.name()), " is not the name of a Lease"));
  }
  if (absl::Status place = CheckLeasePlace(lease); !place.ok()) return place;
  const absl::Duration duration =
      lease.has_duration() ? FromProto(lease.duration()) : absl::Seconds(15);
  if (duration < kLeaseMin || duration > kLeaseMax ||
      duration != absl::Floor(duration, absl::Seconds(1))) {
    return FieldError("kubernetes_lease.duration",
                      absl::StrCat(absl::FormatDuration(duration),
                                   " is not between 3 s and 1 h, or no whole number of seconds"));
  }
  const absl::Duration deadline =
      lease.has_renew_deadline() ? FromProto(lease.renew_deadline()) : duration * 2 / 3;
  if (deadline < kRenewDeadlineMin || deadline > duration - absl::Seconds(1)) {
    return FieldError(
        "kubernetes_lease.renew_deadline",
        absl::StrCat(absl::FormatDuration(deadline), " is not between 1 s and 1 s less than the ",
                     absl::FormatDuration(duration), " of `duration`"));
  }
  *lease.mutable_duration() = ToProto(duration);
  *lease.mutable_renew_deadline() = ToProto(deadline);
  config.kubernetes_lease = std::move(lease);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::DaemonConfig> ReadConfig(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  // One opens, and reads as if it were empty.
  if (std::filesystem::is_directory(path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  std::stringstream text;
  text << file.rdbuf();
  v1::DaemonConfig config;
  FirstError error(path);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(text.str(), &config)) return config;
  return absl::InvalidArgumentError(error.text());
}

absl::StatusOr<Config> ResolveConfig(const v1::DaemonConfig& file) {
  Config config;
  if (absl::Status paths = ResolvePaths(file, config); !paths.ok()) return paths;
  auto grants = ResolveGrants(file);
  if (!grants.ok()) return grants.status();
  config.grants = *std::move(grants);
  if (absl::Status tcp = ResolveTcp(file, config); !tcp.ok()) return tcp;
  if (absl::Status lease = ResolveLease(file, config); !lease.ok()) return lease;
  config.http_listen = file.http_listen();
  if (!config.http_listen.empty()) {
    if (absl::Status http = ParseHttpAddress(config.http_listen).status(); !http.ok()) return http;
  }
  if (absl::Status retentions = ResolveRetentions(file, config); !retentions.ok()) {
    return retentions;
  }
  config.events_max = file.has_events_max() ? file.events_max() : 1'000'000;
  config.effect_workers = file.has_effect_workers() ? file.effect_workers() : 8;
  config.instances_max = file.has_instances_max() ? file.instances_max() : 1000;
  config.instance_log_max_bytes =
      file.instance_log_max_bytes() == 0 ? 1 << 20 : file.instance_log_max_bytes();
  config.enable_reflection = file.enable_reflection();
  absl::Status status = CheckRange("effect_workers", config.effect_workers, 1, 64);
  status.Update(CheckRange("events_max", config.events_max, kFewestEventsMax, kMostEventsMax));
  status.Update(CheckRange("instances_max", config.instances_max, 1, 100'000));
  status.Update(CheckRange("instance_log_max_bytes", config.instance_log_max_bytes, kLogBytesMin,
                           kLogBytesMax));
  if (!status.ok()) return status;
  return config;
}

namespace {

bool SameLease(const std::optional<v1::KubernetesLease>& a,
               const std::optional<v1::KubernetesLease>& b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() == b.has_value();
  return google::protobuf::util::MessageDifferencer::Equals(*a, *b);
}

}  // namespace

std::vector<std::string> NeedRestart(const Config& running, const Config& fresh) {
  const std::pair<const char*, bool> differs[] = {
      {"listen", running.socket_path != fresh.socket_path},
      {"listen_tcp", running.tcp_address != fresh.tcp_address},
      {"http_listen", running.http_listen != fresh.http_listen},
      {"state_dir", running.state_dir != fresh.state_dir},
      {"effect_workers", running.effect_workers != fresh.effect_workers},
      {"instance_log_max_bytes", running.instance_log_max_bytes != fresh.instance_log_max_bytes},
      {"enable_reflection", running.enable_reflection != fresh.enable_reflection},
      {"kubernetes_lease", !SameLease(running.kubernetes_lease, fresh.kubernetes_lease)},
  };
  std::vector<std::string> fields;
  for (const auto& [field, other] : differs) {
    if (other) fields.emplace_back(field);
  }
  return fields;
}

}  // namespace shadow
