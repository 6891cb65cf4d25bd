// What happens at the edge: errors on the wire, roles, pages, the configuration file.
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/api/call.h"
#include "server/api/status_map.h"
#include "server/config.h"
#include "server/core/error.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

google::rpc::Status Details(const grpc::Status& status) {
  google::rpc::Status details;
  REQUIRE(details.ParseFromString(status.error_details()));
  return details;
}

TEST_CASE("an error names its reason, and its field where one is at fault") {
  const grpc::Status status = ToGrpc(FieldError("pool.step", "7 ms is too short"));
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "pool.step: 7 ms is too short");
  const google::rpc::Status details = Details(status);
  CHECK(details.code() == static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
  REQUIRE(details.details_size() == 2);
  google::rpc::ErrorInfo info;
  REQUIRE(details.details(0).UnpackTo(&info));
  CHECK(info.domain() == "shadowd");
  CHECK_FALSE(info.reason().empty());
  google::rpc::BadRequest bad;
  REQUIRE(details.details(1).UnpackTo(&bad));
  CHECK(bad.field_violations(0).field() == "pool.step");

  google::rpc::ErrorInfo exists;
  REQUIRE(
      Details(ToGrpc(ReasonError(absl::StatusCode::kAlreadyExists, "POOL_EXISTS", "it is there")))
          .details(0)
          .UnpackTo(&exists));
  CHECK(exists.reason() == "POOL_EXISTS");
  CHECK(ToGrpc(absl::OkStatus()).ok());
}

TEST_CASE("an error fits the client's metadata and is printable, whatever it quotes") {
  const grpc::Status status =
      ToGrpc(absl::InternalError(absl::StrCat(std::string(100'000, 'x'), "\n\xff\x01")));
  CHECK(status.error_message().size() + status.error_details().size() <= kErrorMaxBytes);
  const grpc::Status bytes = ToGrpc(absl::InternalError("a\nb\xff"));
  CHECK(bytes.error_message() == "a?b?");
}

TEST_CASE("pages follow each other without loss, and foreign tokens are refused") {
  std::map<std::string, int> map;
  for (int i = 0; i < 7; ++i) map["k" + std::to_string(i)] = i;
  std::vector<int> seen;
  std::string token;
  int pages = 0;
  do {
    const auto next = ListPage(
        map, {"List a", 2, token}, [](const std::string&, int value) { return value != 3; },
        [&](int value) {
          seen.push_back(value);
          return size_t{1};
        });
    REQUIRE(next.ok());
    token = *next;
    ++pages;
  } while (!token.empty());
  CHECK(seen == std::vector<int>{0, 1, 2, 4, 5, 6});
  CHECK(pages == 3);
  const auto keep = [](const std::string&, int) { return true; };
  const auto drop = [](int) { return size_t{1}; };
  const std::string first = *ListPage(map, {"List a", 2, ""}, keep, drop);
  for (const std::string& foreign :
       {std::string("not a token"), ToToken("List b", "k1"), ToToken("List", "k1"), first + "0"}) {
    CHECK(absl::IsInvalidArgument(ListPage(map, {"List a", 2, foreign}, keep, drop).status()));
  }
  CHECK(absl::IsInvalidArgument(ListPage(map, {"List b", 2, first}, keep, drop).status()));
  CHECK(absl::IsInvalidArgument(ListPage(map, {"List a", -1, ""}, keep, drop).status()));
  CHECK(*PageSize(0) == kPageSizeDefault);
  CHECK(*PageSize(1'000'000) == kPageSizeMax);
}

TEST_CASE("a page ends by bytes too, names the next one, and holds at least one item") {
  const std::map<std::string, size_t> bytes_of = {{"a", kPageBytesMax / 2},
                                                  {"b", kPageBytesMax / 2},
                                                  {"c", 3 * kPageBytesMax},
                                                  {"d", kPageBytesMax - 1},
                                                  {"e", 1}};
  std::vector<std::vector<size_t>> pages;
  std::string token;
  do {
    pages.emplace_back();
    const auto next = ListPage(
        bytes_of, {"List", 0, token}, [](const auto&, size_t) { return true; },
        [&](size_t bytes) {
          pages.back().push_back(bytes);
          return bytes;
        });
    REQUIRE(next.ok());
    token = *next;
  } while (!token.empty());
  CHECK(pages == std::vector<std::vector<size_t>>{{kPageBytesMax / 2, kPageBytesMax / 2},
                                                  {3 * kPageBytesMax},
                                                  {kPageBytesMax - 1, 1}});
}

TEST_CASE("a typo in the configuration is an error with its place") {
  const std::string path = "/tmp/shadowd-config-" + std::to_string(getpid());
  std::ofstream(path) << "listen: \"unix:/x\"\nadmin_uid: 7\n";
  const auto config = ReadConfig(path);
  unlink(path.c_str());
  CHECK(absl::IsInvalidArgument(config.status()));
  CHECK(std::string(config.status().message()).find(path + ":2:") == 0);
  CHECK(absl::IsNotFound(ReadConfig("/nonexistent/shadowd").status()));
  CHECK_FALSE(ReadConfig("/").ok());
}

TEST_CASE("settings out of their range are refused by name") {
  const auto defaults = ResolveConfig({});
  REQUIRE(defaults.ok());
  CHECK(defaults->socket_path == "/run/shadowd/shadowd.sock");
  CHECK(defaults->sample_retention == absl::Hours(24 * 35));
  CHECK(defaults->rollup_5m_retention == absl::Hours(24 * 90));
  CHECK(defaults->rollup_1h_retention == absl::Hours(24 * 400));
  CHECK(defaults->events_max == 1'000'000);
  struct Case {
    const char* field;
    void (*set)(v1::DaemonConfig&);
  };
  const Case cases[] = {
      {"listen", [](v1::DaemonConfig& config) { config.set_listen("tcp:1"); }},
      {"listen",
       [](v1::DaemonConfig& config) {
         config.set_listen(absl::StrCat("unix:/", std::string(107, 'a')));
       }},
      {"listen_tcp",
       [](v1::DaemonConfig& config) {
         config.set_listen_tcp("localhost:1");  // Names are not looked up.
         for (auto* file : {config.mutable_tls()->mutable_certificate_file(),
                            config.mutable_tls()->mutable_key_file(),
                            config.mutable_tls()->mutable_client_ca_file()}) {
           *file = "/f";
         }
       }},
      {"tls.certificate_file",
       [](v1::DaemonConfig& config) { config.set_listen_tcp("127.0.0.1:1"); }},
      {"tls", [](v1::DaemonConfig& config) { config.mutable_tls()->set_key_file("/k"); }},
      {"grants[0].role", [](v1::DaemonConfig& config) { config.add_grants()->add_uids(7); }},
      {"grants[0]",
       [](v1::DaemonConfig& config) { config.add_grants()->set_role(v1::Grant::ADMIN); }},
      {"grants[1].certificates",
       [](v1::DaemonConfig& config) {
         config.add_grants()->set_role(v1::Grant::ADMIN);
         config.mutable_grants(0)->add_certificates("CN=ops");
         config.add_grants()->set_role(v1::Grant::VIEWER);
         config.mutable_grants(1)->add_certificates("ops");
       }},
      {"effect_workers", [](v1::DaemonConfig& config) { config.set_effect_workers(0); }},
      {"instances_max", [](v1::DaemonConfig& config) { config.set_instances_max(-1); }},
      {"log_level", [](v1::DaemonConfig& config) { config.set_log_level("loud"); }},
      {"events_max", [](v1::DaemonConfig& config) { config.set_events_max(999); }},
      {"instance_log_max_bytes",
       [](v1::DaemonConfig& config) { config.set_instance_log_max_bytes(1); }},
      {"rollup_1h_retention",
       [](v1::DaemonConfig& config) { config.mutable_rollup_1h_retention()->set_seconds(-1); }},
      {"event_retention",
       [](v1::DaemonConfig& config) { config.mutable_event_retention()->set_seconds(1); }},
  };
  for (const Case& c : cases) {
    v1::DaemonConfig config;
    c.set(config);
    const auto resolved = ResolveConfig(config);
    INFO(c.field);
    CHECK(absl::IsInvalidArgument(resolved.status()));
    CHECK(ErrorField(resolved.status()) == c.field);
  }
}

TEST_CASE("a Lease is kept for 15 s, and its holder stops acting 5 s earlier") {
  v1::DaemonConfig config;
  config.mutable_kubernetes_lease();
  const auto resolved = ResolveConfig(config);
  REQUIRE(resolved.ok());
  CHECK(resolved->kubernetes_lease->name() == "shadowd");
  CHECK(resolved->kubernetes_lease->duration().seconds() == 15);
  CHECK(resolved->kubernetes_lease->renew_deadline().seconds() == 10);
  CHECK_FALSE(ResolveConfig({})->kubernetes_lease.has_value());
}

TEST_CASE("a Lease at no place that can be is refused by name") {
  const std::pair<std::string, std::string> cases[] = {
      {"name: \"../pods\"", "kubernetes_lease.name"},
      {"api_server: \"http://10.0.0.1:80\" namespace: \"a\" token_file: \"/t\"",
       "kubernetes_lease.api_server"},
      {"api_server: \"https://10.0.0.1\" token_file: \"/t\"", "kubernetes_lease.namespace"},
      {"api_server: \"https://10.0.0.1\" namespace: \"a\"", "kubernetes_lease.token_file"},
      {"ca_file: \"ca.crt\"", "kubernetes_lease.ca_file"},
      {"api_server: \"https://10.0.0.1\" namespace: \"a\" token_file: \"/t\"", ""},
  };
  for (const auto& [text, field] : cases) {
    v1::DaemonConfig config;
    REQUIRE(
        google::protobuf::TextFormat::ParseFromString("kubernetes_lease {" + text + "}", &config));
    INFO(text);
    CHECK(ErrorField(ResolveConfig(config).status()) == field);
  }
}

TEST_CASE("durations of a Lease that leave no time between them are refused by name") {
  const std::tuple<absl::Duration, absl::Duration, std::string> cases[] = {
      {absl::Seconds(2), absl::Seconds(1), "kubernetes_lease.duration"},
      {absl::Hours(2), absl::Seconds(1), "kubernetes_lease.duration"},
      {absl::Milliseconds(3500), absl::Seconds(1), "kubernetes_lease.duration"},
      {absl::Seconds(3), absl::Milliseconds(999), "kubernetes_lease.renew_deadline"},
      {absl::Seconds(3), absl::Milliseconds(2001), "kubernetes_lease.renew_deadline"},
      {absl::Seconds(3), absl::Seconds(2), ""},
  };
  for (const auto& [duration, deadline, field] : cases) {
    v1::DaemonConfig config;
    *config.mutable_kubernetes_lease()->mutable_duration() = ToProto(duration);
    *config.mutable_kubernetes_lease()->mutable_renew_deadline() = ToProto(deadline);
    const auto resolved = ResolveConfig(config);
    INFO(duration << " " << deadline);
    CHECK(resolved.ok() == field.empty());
    CHECK(ErrorField(resolved.status()) == field);
  }
}

TEST_CASE("of a changed configuration, what counts only after a restart is named") {
  const auto running = ResolveConfig({});
  REQUIRE(running.ok());
  Config fresh = *running;
  fresh.log_level = "debug";
  fresh.grants.uids[7] = Role::kAdmin;
  fresh.tls.key = "/another.key";
  fresh.event_retention = absl::Hours(2);
  fresh.events_max = 2000;
  fresh.instances_max = 20;
  CHECK(NeedRestart(*running, fresh).empty());
  fresh.state_dir = "/elsewhere";
  fresh.effect_workers = 3;
  v1::DaemonConfig leased;
  leased.mutable_kubernetes_lease();
  fresh.kubernetes_lease = ResolveConfig(leased)->kubernetes_lease;
  CHECK(NeedRestart(*running, fresh) ==
        std::vector<std::string>{"state_dir", "effect_workers", "kubernetes_lease"});
}

}  // namespace
}  // namespace shadow
