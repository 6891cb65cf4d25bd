#include "tests/demo/director/setup_files.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

namespace shadow::demo {
namespace {

// Of kPageText.
constexpr char kPageSha256[] = "6990c13d8cced11f61eb53c789a04140e25c2d5d229625df758de3ef41286b13";

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

constexpr char kDna[] = R"(name: dnas/web
software:
  - name: shadow-demo-worker
    version: 1.0.0
    verify_argv: [$0, --version]
data_sets:
  - name: page
    source: $1/page.txt
    sha256: $5
security:
  no_new_privileges: true
resources:
  open_files_max: 1024
network:
  port_min: $2
  port_max: $3
process:
  argv: [$0, --port, $$(PORT), --startup, 3s, --capacity, "$4", --service-time, 40ms,
         --body, $1/page.txt]
  working_directory: $1
  environment:
    SHADOW_DEMO_DIRECTORY: $1
  ready_check:
    http: {path: /healthz}
    interval: 100ms
  stop_timeout: 5s
  start_timeout: 20s
warm_up:
  requests: 3
  latency_max: 500ms
  timeout: 5s
)";

constexpr char kPool[] = R"(---
name: pools/web
dna: dnas/web
provider: process
balancer:
  haproxy: {socket_path: $0, backend: web, slot_prefix: slot}
usage_sources:$1
demand_unit: requests/s
step: 1s
season_lengths: [$2s, $3s]
managed_instances: $4
instance_capacity: $5
policy:
  mode: AUTOMATIC
  sizing: $6
  service_level: 0.9
  max_shadow_instances: 12
  activation_interval: 500ms
  stabilization_window: 4s
  look_ahead: 8s
  usage_max_age: 10s
  provisioning_lead: 5s
  activation_lead: 2s
  drain_timeout: 5s
  canary: {weight_percent: 25, requests: 5, timeout: 1s}
)";

}  // namespace

std::string HaproxyConfig(const Setup& setup) {
  return absl::Substitute(kHaproxy, setup.AdminSocket(), setup.http_port, kSlots);
}

std::string DaemonConfig() { return "log_level: \"info\"\n"; }

std::string WebYaml(const Setup& setup, bool follow_haproxy) {
  std::string text =
      absl::Substitute(kDna, setup.worker, setup.directory, setup.worker_port_min,
                       setup.worker_port_min + 2 * kSlots - 1, kWorkerCapacity, kPageSha256);
  const std::string source =
      follow_haproxy ? absl::StrCat("\n  - haproxy: {socket_path: ", setup.AdminSocket(),
                                    ", frontend: public, metric: REQUESTS}")
                     : " []";
  absl::SubstituteAndAppend(&text, kPool, setup.AdminSocket(), source, kStepsPerDay, kStepsPerWeek,
                            kBaseInstances, kInstanceCapacity,
                            setup.predictive ? "PREDICTIVE" : "REACTIVE");
  return text;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace shadow::demo
