#include "tests/demo/director/setup_files.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"

namespace shadow::demo {
namespace {

// A server takes one request more than it has slots, so that it is never idle while the next one is
// on its way; all others wait in the backend's queue, for whichever server is free first.
constexpr char kHaproxy[] = R"(global
  stats socket $0 mode 600 level admin
  maxconn 4096
  nbthread 1

defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 15s
  timeout queue 4s
  timeout http-keep-alive 60s
  option redispatch
  retries 3
  retry-on conn-failure empty-response

frontend public
  bind 127.0.0.1:$1
  default_backend web

backend web
  balance leastconn
  option httpchk GET /healthz
  default-server inter 200ms fall 3 rise 1 maxconn 3
  server-template slot 1-$2 127.0.0.1:9 check weight 100 disabled
)";

// Of client/examples/web.yaml, where demand is read from.
constexpr char kUsageSources[] = R"(usage_sources:
  - haproxy:
      socket_path: /run/haproxy/admin.sock
      frontend: public
      metric: REQUESTS
)";

// A text of client/examples/web.yaml, and what stands there in a replay.
struct Edit {
  std::string from;
  std::string to;
};

std::vector<Edit> Places(const Setup& setup) {
  return {{"/usr/local/lib/shadowd/shadow-demo-worker", setup.worker},
          {"/srv/web/page.txt", setup.PageFile()},
          {"/run/haproxy/admin.sock", setup.AdminSocket()},
          {"working_directory: /\n", absl::StrCat("working_directory: ", setup.directory, "\n")},
          {"    TZ: UTC\n",
           absl::StrCat("    TZ: UTC\n    SHADOW_DEMO_DIRECTORY: ", setup.directory, "\n")},
          {"port_min: 20000", absl::StrCat("port_min: ", setup.worker_port_min)},
          {"port_max: 20999", absl::StrCat("port_max: ", setup.worker_port_min + 2 * kSlots - 1)},
          {"- \"50\"\n", absl::StrCat("- \"", kWorkerCapacity, "\"\n")},
          {"instance_capacity: 40 ", absl::StrCat("instance_capacity: ", kInstanceCapacity, " ")},
          {"managed_instances: 2 ", absl::StrCat("managed_instances: ", kBaseInstances, " ")},
          {"sizing: PREDICTIVE",
           absl::StrCat("sizing: ", setup.predictive ? "PREDICTIVE" : "REACTIVE")}};
}

// A day of kStepsPerDay seconds: what is minutes and hours in the file, but not how long an
// instance takes to start. A miss in a hundred steps is one every two days: too few to show.
std::vector<Edit> TimeScale() {
  return {{"\nstep: 1m ", "\nstep: 1s "},
          {"season_lengths: [24h, 168h]",
           absl::StrCat("season_lengths: [", kStepsPerDay, "s, ", kStepsPerWeek, "s]")},
          {"service_level: 0.99 ", "service_level: 0.9 "},
          {"activation_interval: 2s ", "activation_interval: 500ms "},
          {"stabilization_window: 5m ", "stabilization_window: 4s "},
          {"look_ahead: 1h ", "look_ahead: 8s "},
          {"usage_max_age: 3m ", "usage_max_age: 10s "},
          {"# provisioning_lead: 5s", "provisioning_lead: 5s"},
          {"# activation_lead: 2s", "activation_lead: 2s"},
          {"    timeout: 5s\n    errors_max", "    timeout: 1s\n    errors_max"},
          {"drain_timeout: 30s", "drain_timeout: 5s"},
          {"stop_timeout: 10s", "stop_timeout: 5s"}};
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (file) return text.str();
  return absl::NotFoundError(absl::StrCat("cannot read ", path));
}

}  // namespace

std::string HaproxyConfig(const Setup& setup) {
  return absl::Substitute(kHaproxy, setup.AdminSocket(), setup.http_port, kSlots);
}

std::string DaemonConfig() { return "log_level: \"info\"\n"; }

absl::StatusOr<std::string> WebYaml(const Setup& setup, bool follow_haproxy) {
  const std::string path = setup.examples + "/web.yaml";
  absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text;
  std::vector<Edit> edits;
  if (!follow_haproxy) edits.push_back({kUsageSources, "usage_sources: []\n"});
  for (const std::vector<Edit>& more : {Places(setup), TimeScale()}) {
    edits.insert(edits.end(), more.begin(), more.end());
  }
  for (const Edit& edit : edits) {
    if (absl::StrReplaceAll({{edit.from, edit.to}}, &*text) == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " has no \"", edit.from, "\" to be replaced"));
    }
  }
  return text;
}

absl::StatusOr<std::string> PageText(const Setup& setup) {
  return ReadText(setup.examples + "/page.txt");
}

absl::Status CheckWritable(const std::string& path) {
  std::error_code error;
  const bool was_there = std::filesystem::exists(path, error);
  const bool opened = std::ofstream(path, std::ios::app).is_open();
  if (opened && !was_there) std::filesystem::remove(path, error);
  if (opened) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace shadow::demo
