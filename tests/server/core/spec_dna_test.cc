#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "server/core/spec.h"

namespace shadow {
namespace {

struct Rejected {
  std::string change;  // Text protobuf, merged into Minimal().
  std::string field;
  std::string message_part;
};

v1::Dna Minimal() {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.mutable_process()->add_argv("/usr/bin/worker");
  return dna;
}

v1::Dna Changed(const std::string& change) {
  v1::Dna dna = Minimal();
  REQUIRE(google::protobuf::TextFormat::MergeFromString(change, &dna));
  return dna;
}

void CheckRejected(const v1::Dna& dna, const std::string& field, const std::string& message_part) {
  const auto compiled = CompileDna(dna);
  REQUIRE_FALSE(compiled.ok());
  CHECK(compiled.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(ErrorField(compiled.status()) == field);
  CHECK_THAT(std::string(compiled.status().message()), Catch::Contains(message_part));
}

void CheckTable(const std::vector<Rejected>& table) {
  for (const Rejected& row : table) {
    INFO(row.change);
    CheckRejected(Changed(row.change), row.field, row.message_part);
  }
}

const std::string kHex(64, 'a');

TEST_CASE("a minimal DNA compiles with the defaults of its comments") {
  const auto compiled = CompileDna(Minimal());
  REQUIRE(compiled.ok());
  CHECK(compiled->start_timeout == absl::Seconds(60));
  CHECK(compiled->stop_timeout == absl::Seconds(10));
  CHECK(compiled->ready_interval == absl::Milliseconds(100));
  CHECK(compiled->ready_timeout == absl::Seconds(1));
  CHECK_FALSE(compiled->dna.process().has_ready_check());  // A default is no content: no revision.
  CHECK(compiled->warm_up_timeout == absl::Seconds(10));
  CHECK_FALSE(compiled->warm_up_latency_max.has_value());
  // printf '{"process":{"argv":["/usr/bin/worker"]}}' | sha256sum
  CHECK(compiled->dna.revision() == "04730bb4f60a");
  CHECK(compiled->revision_name == "dnas/web@04730bb4f60a");
}

TEST_CASE("a DNA with every field set compiles") {
  const auto compiled = CompileDna(Changed(R"pb(
    operating_system {
      image: "registry.example/web:1"
      image_digest: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      root_hash: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      id: "debian"
      version_id: "12"
    }
    software { name: "g++" version: "12.2.0" verify_argv: "/usr/bin/g++" verify_argv: "--version" }
    data_sets {
      name: "pages"
      source: "/srv/pages"
      mount_path: "/pages"
      read_only: true
      sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    }
    security {
      user: "www-data"
      capabilities: "CAP_NET_BIND_SERVICE"
      no_new_privileges: true
      read_only_paths: "/"
      secrets { environment_variable: "TOKEN" source_file: "/etc/token" }
    }
    security { protect_system: STRICT private_tmp: true }
    security { system_call_filter: "@system-service" restrict_address_families: "AF_INET" }
    resources { cpu_millis: 500 memory_max_bytes: 1048576 tasks_max: 1 open_files_max: 1 }
    resources { cpu_weight: 10000 memory_high_bytes: 1048576 }
    network {
      port_min: 1024
      port_max: 1024
      connections { host: "10.0.0.1" port: 1 }
      connections { host: "::1" port: 65535 }
    }
    process {
      argv: ""
      environment { key: "_a1" value: "\303\274" }
      working_directory: "/srv"
      ready_check {
        http { path: "/ready?x=1" expected_status: 204 }
        interval { nanos: 10000000 }
        timeout { seconds: 60 }
      }
      stop_signal: "SIGUSR2"
      stop_timeout { seconds: 3600 }
      start_timeout { nanos: 10000000 }
    }
    warm_up {
      requests: 1000
      path: "/"
      expected_status: 599
      latency_max { nanos: 1500000 }
      timeout { seconds: 600 }
    }
  )pb"));
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->ready_interval == absl::Milliseconds(10));
  CHECK(compiled->warm_up_latency_max == absl::Microseconds(1500));
  CHECK(compiled->stop_timeout == absl::Hours(1));
}

TEST_CASE("output-only fields of a DNA are ignored on entry") {
  v1::Dna dna = Minimal();
  dna.set_revision("wrong");
  dna.add_revisions("wrong");
  dna.set_etag("\xFF");
  dna.mutable_create_time()->set_seconds(5);
  const auto compiled = CompileDna(dna);
  REQUIRE(compiled.ok());
  CHECK(compiled->dna.revision() == CompileDna(Minimal())->dna.revision());
  CHECK(compiled->dna.revisions().empty());
  CHECK(compiled->dna.etag().empty());
  CHECK_FALSE(compiled->dna.has_create_time());
}

TEST_CASE("a wrong name, system, software or data set of a DNA is refused by its field") {
  const std::string data = "data_sets { name: 'd' source: '/d' sha256: '" + kHex + "' } ";
  CheckTable({
      {"name: 'web'", "dna.name", "dnas/{dna}"},
      {"name: 'dnas/web@0123456789ab'", "dna.name", "revision"},
      {"operating_system { root_directory: 'srv' }", "dna.operating_system.root_directory",
       "absolute"},
      {"operating_system { root_directory: '/a' image: 'x' image_digest: 'sha256:" + kHex + "' }",
       "dna.operating_system.image", "choose one"},
      {"operating_system { image: 'x' }", "dna.operating_system.image_digest", "64 lower-case hex"},
      {"operating_system { image: 'x' image_digest: '" + kHex + "' }",
       "dna.operating_system.image_digest", "sha256:"},
      {"operating_system { image_digest: 'sha256:" + kHex + "' }",
       "dna.operating_system.image_digest", "without an image"},
      {"operating_system { image: 'a b' }", "dna.operating_system.image", "spaces"},
      {"operating_system { id: 'Debian' }", "dna.operating_system.id", "\"Debian\""},
      {"operating_system { version_id: '1 2' }", "dna.operating_system.version_id", "\"1 2\""},
      {"software { version: '1' verify_argv: '/x' }", "dna.software[0].name", "empty"},
      {"software { name: 'x' verify_argv: '/x' }", "dna.software[0].version", "empty"},
      {"software { name: 'x' version: '1 2' verify_argv: '/x' }", "dna.software[0].version",
       "spaces"},
      {"software { name: 'x' version: '1' }", "dna.software[0].verify_argv", "empty"},
      {"software { name: 'x' version: '1' verify_argv: 'x' }", "dna.software[0].verify_argv[0]",
       "absolute"},
      {"software { name: 'x' version: '1' verify_argv: '/x' } "
       "software { name: 'x' version: '2' verify_argv: '/x' }",
       "dna.software[1].name", "twice"},
      {"data_sets { name: 'a/b' source: '/d' sha256: '" + kHex + "' }", "dna.data_sets[0].name",
       "\"a/b\""},
      {"data_sets { name: 'd' source: '/d/../e' sha256: '" + kHex + "' }",
       "dna.data_sets[0].source", "\"..\""},
      {"data_sets { name: 'd' source: '/d' mount_path: 'd' sha256: '" + kHex + "' }",
       "dna.data_sets[0].mount_path", "absolute"},
      {"data_sets { name: 'd' source: '/d' }", "dna.data_sets[0].sha256", "\"\" is not 64"},
      {"data_sets { name: 'd' source: '/d' sha256: '" + std::string(64, 'A') + "' }",
       "dna.data_sets[0].sha256", "lower-case"},
      {data + data, "dna.data_sets[1].name", "twice"},
      {data + "data_sets { name: 'e' source: '/e' mount_path: '/d' sha256: '" + kHex + "' }",
       "dna.data_sets[1].mount_path", "\"/d\" already"},
  });
}

TEST_CASE("wrong security, resources or network of a DNA are refused by their field") {
  CheckTable({
      {"security { read_only_paths: '/a/' }", "dna.security.read_only_paths[0]", "clean"},
      {"security { secrets { environment_variable: 'PORT' source_file: '/s' } }",
       "dna.security.secrets[0].environment_variable", "reserved"},
      {"security { secrets { environment_variable: 'A' source_file: 's' } }",
       "dna.security.secrets[0].source_file", "absolute"},
      {"security { secrets { environment_variable: 'A' source_file: '/s' } } "
       "process { environment { key: 'A' value: 'x' } }",
       "dna.security.secrets[0].environment_variable", "twice"},
      {"security { user: 'a' dynamic_user: true }", "dna.security.dynamic_user", "beside user"},
      {"security { system_call_filter: 'a b' }", "dna.security.system_call_filter[0]", "spaces"},
      {"security { restrict_address_families: 'AF_INET' restrict_address_families: 'AF_INET' }",
       "dna.security.restrict_address_families[1]", "twice"},
      {"operating_system { root_hash: '" + kHex + "' }", "dna.operating_system.root_hash",
       "without an image"},
      {"resources { cpu_weight: 0 }", "dna.resources.cpu_weight", "0 is not in 1 to 10000"},
      {"resources { memory_high_bytes: 512 }", "dna.resources.memory_high_bytes", "1048576"},
      {"resources { cpu_millis: 0 }", "dna.resources.cpu_millis", "0 is not in 1 to"},
      {"resources { memory_max_bytes: 512 }", "dna.resources.memory_max_bytes", "1048576"},
      {"network { connections { host: 'db' port: 1 } }", "dna.network.connections[0].host",
       "IPv4 or IPv6"},
      {"network { connections { host: '10.0.0.256' port: 1 } }", "dna.network.connections[0].host",
       "IPv4"},
      {"network { connections { host: '::1' } }", "dna.network.connections[0].port",
       "0 is not in 1 to 65535"},
  });
}

TEST_CASE("a wrong process or warm-up of a DNA is refused by its field") {
  CheckTable({
      {"process { environment { key: '1A' value: '' } }", "dna.process.environment", "\"1A\""},
      {"process { environment { key: '' value: '' } }", "dna.process.environment", "\"\""},
      {"process { environment { key: 'A=B' value: '' } }", "dna.process.environment", "\"A=B\""},
      {"process { environment { key: 'SHADOWD_X' value: '' } }", "dna.process.environment",
       "reserved"},
      {"process { environment { key: 'PORT' value: '1' } }", "dna.process.environment", "reserved"},
      {"process { working_directory: 'srv' }", "dna.process.working_directory", "absolute"},
      {"process { working_directory: '/a//b' }", "dna.process.working_directory", "clean"},
      {"process { working_directory: '/a/.' }", "dna.process.working_directory", "\".\""},
      {"process { ready_check { http { path: 'x' } } }", "dna.process.ready_check.http.path",
       "begin with"},
      {"process { ready_check { http { path: '/a b' } } }", "dna.process.ready_check.http.path",
       "spaces"},
      {"process { ready_check { http { path: '/' expected_status: 99 } } }",
       "dna.process.ready_check.http.expected_status", "99 is not in 100 to 599"},
      {"process { ready_check { tcp {} interval { nanos: 1 } } }",
       "dna.process.ready_check.interval", "1ns is not in 10ms to 1m"},
      {"process { ready_check { tcp {} timeout { seconds: 61 } } }",
       "dna.process.ready_check.timeout", "1m1s"},
      {"process { resume_hook {} }", "dna.process.resume_hook", "neither signal nor http"},
      {"process { resume_hook { signal: 'SIGUSR1' timeout { seconds: 1 } } }",
       "dna.process.resume_hook.timeout", "only http"},
      {"process { resume_hook { http { path: 'woken' } } }", "dna.process.resume_hook.http.path",
       "begin with"},
      {"process { resume_hook { http { path: '/' expected_status: 600 } } }",
       "dna.process.resume_hook.http.expected_status", "600"},
      {"process { resume_hook { http { path: '/' } timeout {} } }",
       "dna.process.resume_hook.timeout", "0 is not in 10ms to 10m"},
      {"process { stop_timeout {} }", "dna.process.stop_timeout", "0 is not in"},
      {"process { stop_timeout { seconds: 1 nanos: -1 } }", "dna.process.stop_timeout",
       "valid duration"},
      {"process { start_timeout { seconds: -1 } }", "dna.process.start_timeout", "-1s"},
      {"process { start_timeout { seconds: 9223372036854775807 } }", "dna.process.start_timeout",
       "valid duration"},
      {"warm_up { requests: -1 }", "dna.warm_up.requests", "-1"},
      {"warm_up { requests: 1001 }", "dna.warm_up.requests", "0 to 1000"},
      {"warm_up { path: 'x' }", "dna.warm_up.path", "begin with"},
      {"warm_up { expected_status: 600 }", "dna.warm_up.expected_status", "600"},
      {"warm_up { latency_max {} }", "dna.warm_up.latency_max", "0 is not in"},
      {"warm_up { timeout { seconds: 601 } }", "dna.warm_up.timeout", "10m1s"},
  });
}

TEST_CASE("a resume hook is a signal, or a request with a timeout") {
  CHECK(CompileDna(Minimal())->resume_hook_timeout == absl::Seconds(5));
  v1::Dna dna = Minimal();
  v1::ResumeHook& hook = *dna.mutable_process()->mutable_resume_hook();
  hook.set_signal("SIGUSR1");
  CHECK(CompileDna(dna).status() == absl::OkStatus());
  hook.mutable_http()->set_path("/woken");
  hook.mutable_timeout()->set_seconds(600);
  const auto compiled = CompileDna(dna);
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->resume_hook_timeout == absl::Minutes(10));
}

TEST_CASE("what names and numbers of a host mean is left to the provider") {
  for (const char* change :
       {"security { user: 'a b' }", "security { capabilities: 'CAP_ALL' }",
        "resources { tasks_max: -1 open_files_max: 0 }", "network { port_min: 3000 port_max: -1 }",
        "process { stop_signal: 'TERM' }", "process { resume_hook { signal: 'SIGKILL' } }"}) {
    INFO(change);
    CHECK(CompileDna(Changed(change)).status() == absl::OkStatus());
  }
}

TEST_CASE("a DNA without a program is refused") {
  v1::Dna dna = Minimal();
  dna.mutable_process()->clear_argv();
  CheckRejected(dna, "dna.process.argv", "absolute path");
  dna.mutable_process()->add_argv("worker");
  CheckRejected(dna, "dna.process.argv[0]", "absolute");
}

TEST_CASE("lists and texts of a DNA are bounded") {
  v1::Dna dna = Minimal();
  for (int i = 1; i < 256; ++i) dna.mutable_process()->add_argv("x");
  CHECK(CompileDna(dna).ok());
  dna.mutable_process()->add_argv("x");
  CheckRejected(dna, "dna.process.argv", "257 entries");

  dna = Minimal();  // "/usr/bin/worker" and one for each of the two entries: 17 bytes.
  dna.mutable_process()->add_argv(std::string(64 * 1024 - 17, 'x'));
  CHECK(CompileDna(dna).ok());
  dna.mutable_process()->mutable_argv(1)->push_back('x');
  CheckRejected(dna, "dna.process.argv", "65537 bytes");

  dna = Minimal();
  for (int i = 0; i < 257; ++i) {
    (*dna.mutable_process()->mutable_environment())["K" + std::to_string(i)] = "v";
  }
  CheckRejected(dna, "dna.process.environment", "257 entries");

  dna = Minimal();
  for (int i = 0; i < 65; ++i) dna.add_data_sets();
  CheckRejected(dna, "dna.data_sets", "65 entries");
  dna = Minimal();
  for (int i = 0; i < 65; ++i) dna.add_software();
  CheckRejected(dna, "dna.software", "65 entries");
  dna = Minimal();
  for (int i = 0; i < 65; ++i) dna.mutable_network()->add_connections();
  CheckRejected(dna, "dna.network.connections", "65 entries");
  dna = Minimal();
  for (int i = 0; i < 65; ++i) dna.mutable_security()->add_secrets();
  CheckRejected(dna, "dna.security.secrets", "65 entries");
  dna = Minimal();
  dna.mutable_process()->set_working_directory("/" + std::string(300'000, 'x'));
  CheckRejected(dna, "dna", "bytes");
}

TEST_CASE("text that is not UTF-8, or has control characters, is refused wherever it is") {
  struct Row {
    std::string text;
    std::string part;
  };
  for (const Row& row :
       {Row{"\xFF", "not UTF-8 at byte 0"}, Row{"a\xC0\x80", "not UTF-8 at byte 1"},
        Row{"\xED\xA0\x80", "not UTF-8"}, Row{"\xF4\x90\x80\x80", "not UTF-8"},
        Row{"\xE2\x82", "not UTF-8"}, Row{std::string("a\0b", 3), "control character at byte 1"},
        Row{"a\nb", "control character"}, Row{"\x7F", "control character"},
        Row{"\xC2\x9B", "control character"}}) {
    INFO(row.text);
    v1::Dna dna = Minimal();
    dna.mutable_process()->add_argv(row.text);
    CheckRejected(dna, "dna.process.argv[1]", row.part);
    dna = Minimal();
    (*dna.mutable_process()->mutable_environment())["A"] = row.text;
    CheckRejected(dna, "dna.process.environment.value", row.part);
  }
  v1::Dna dna = Minimal();
  dna.mutable_process()->add_argv("\xF0\x9F\x98\x80 \xE2\x82\xAC");
  CHECK(CompileDna(dna).ok());
}

TEST_CASE("a field from a newer version is refused, not ignored") {
  v1::Dna dna = Minimal();
  v1::Security& security = *dna.mutable_security();
  security.GetReflection()->MutableUnknownFields(&security)->AddVarint(999, 1);
  CheckRejected(dna, "dna.security", "does not know");
}

}  // namespace
}  // namespace shadow
