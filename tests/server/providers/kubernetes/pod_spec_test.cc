// The table from DNA fields to a pod, row by row.
#include "server/providers/kubernetes/pod_spec.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/core/error.h"
#include "server/providers/facts/data_set_digest.h"
#include "tests/server/providers/kubernetes_world.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

CompiledDna DnaWith(const std::string& fields) {
  CompiledDna dna = PodDna();
  v1::Dna more;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(fields, &more));
  if (more.process().argv_size() > 0) dna.dna.mutable_process()->clear_argv();
  dna.dna.MergeFrom(more);
  return dna;
}

Json PodWith(const std::string& fields, const Json* from = nullptr) {
  const CompiledDna dna = DnaWith(fields);
  INFO(fields);
  REQUIRE(CheckPodDna(dna.dna).ok());
  const auto pod = MakePod(TestInstance("a1", dna),
                           {.tag = "0123456789ab", .store_id = "store", .epoch = "store/1"}, from);
  REQUIRE(pod.ok());
  return *pod;
}

struct PodRow {
  const char* fields;
  const char* place;  // Below the pod's spec.
  const char* value;  // JSON.
};

const PodRow kPodRows[] = {
    {"", "/containers/0/image", R"("registry.example/web@sha256:)"},
    {"", "/restartPolicy", R"("Never")"},
    {"", "/automountServiceAccountToken", "false"},
    {"", "/terminationGracePeriodSeconds", "10"},
    {"process { stop_timeout { seconds: 3 nanos: 1 } }", "/terminationGracePeriodSeconds", "4"},
    {R"x(process { argv: "/bin/web" argv: "--port=$(PORT)" argv: "$(X) $$ $y" })x",
     "/containers/0/command", R"x(["/bin/web","--port=20000","$$(X) $$$ $y"])x"},
    {"", "/containers/0/workingDir", R"("/")"},
    {R"(process { working_directory: "/srv" })", "/containers/0/workingDir", R"("/srv")"},
    {R"x(process { environment { key: "A" value: "$(B)" } })x", "/containers/0/env/4",
     R"x({"name":"A","value":"$$(B)"})x"},
    {"", "/containers/0/env/3", R"({"name":"PORT","value":"20000"})"},
    {"network { port_min: 8080 port_max: 8090 }", "/containers/0/ports",
     R"([{"name":"shadow","containerPort":8080,"protocol":"TCP"}])"},
    {R"(security { secrets { environment_variable: "P" secret_name: "db" secret_key: "k" } })",
     "/containers/0/env/4", R"({"name":"P","valueFrom":{"secretKeyRef":{"name":"db","key":"k"}}})"},
    {R"(security { secrets { environment_variable: "P" secret_name: "db" secret_key: "k" } })",
     "/containers/0/terminationMessagePolicy", R"("File")"},
    {"resources { cpu_millis: 1500 memory_max_bytes: 1000 }", "/containers/0/resources",
     R"({"limits":{"cpu":"1500m","memory":"1000"},"requests":{"cpu":"1500m","memory":"1000"}})"},
    {"", "/containers/0/resources", "{}"},
    {"", "/containers/0/securityContext",
     R"({"privileged":false,"capabilities":{"drop":["ALL"]}})"},
    {R"(security { user: "1000" no_new_privileges: true protect_system: STRICT })",
     "/containers/0/securityContext",
     R"({"privileged":false,"capabilities":{"drop":["ALL"]},"runAsUser":1000,
           "runAsNonRoot":true,"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true})"},
    {R"(security { user: "0" capabilities: "CAP_NET_BIND_SERVICE" })",
     "/containers/0/securityContext/capabilities",
     R"({"drop":["ALL"],"add":["NET_BIND_SERVICE"]})"},
    {R"(security { protect_system: STRICT read_only_paths: "/etc" })",
     "/containers/0/securityContext/readOnlyRootFilesystem", "true"},
    {"security { private_tmp: true }", "/volumes",
     R"([{"name":"tmp","emptyDir":{}},{"name":"var-tmp","emptyDir":{}}])"},
    {R"(data_sets { name: "m" source: "/m" read_only: true })", "/containers/0/volumeMounts",
     R"([{"name":"data-0","mountPath":"/m","readOnly":true}])"},
    {R"(data_sets { name: "m" source: "/m" })", "/volumes",
     R"([{"name":"data-0","hostPath":{"path":"/m"}}])"},
    {R"(data_sets { name: "m" source: "/a/b" mount_path: "/m" volume_claim: "models" })",
     "/volumes", R"([{"name":"data-0","persistentVolumeClaim":{"claimName":"models"}}])"},
    {R"(data_sets { name: "m" source: "/a/b" mount_path: "/m" volume_claim: "models" })",
     "/containers/0/volumeMounts", R"([{"name":"data-0","mountPath":"/m","subPath":"a/b"}])"},
    {"", "/containers/0/readinessProbe",
     R"({"tcpSocket":{"port":20000},"periodSeconds":1,"timeoutSeconds":1,"failureThreshold":3})"},
    {R"(process { ready_check { http { path: "/ok" } interval { seconds: 2 }
                                  timeout { nanos: 1 } } })",
     "/containers/0/readinessProbe",
     R"({"httpGet":{"path":"/ok","port":20000},"periodSeconds":2,"timeoutSeconds":1,
           "failureThreshold":3})"},
};

TEST_CASE("each field of a DNA has its place in a pod") {
  for (const auto& row : kPodRows) {
    INFO(row.fields << " at " << row.place);
    const Json spec = PodWith(row.fields)["spec"];
    const Json::json_pointer place(row.place);
    REQUIRE(spec.contains(place));
    if (std::string(row.place) == "/containers/0/image") {
      CHECK(spec[place] == "registry.example/web@sha256:" + std::string(64, 'a'));
      continue;
    }
    CHECK(spec[place] == Json::parse(row.value));
  }
  CHECK_FALSE(PodWith("process { ready_check { none {} } }")["spec"]["containers"][0].contains(
      "readinessProbe"));
}

TEST_CASE("what a pod cannot do is refused by its field") {
  const struct {
    const char* fields;
    const char* field;
    bool wrong = false;  // It means nothing anywhere.
  } rows[] = {
      {R"(operating_system { image: "a@sha256:b" })", "operating_system.image"},
      {R"(operating_system { root_directory: "/x" })", "operating_system.root_directory"},
      {R"(operating_system { root_hash: "00" })", "operating_system.root_hash"},
      {R"(operating_system { id: "debian" })", "operating_system.id"},
      {R"(operating_system { version_id: "12" })", "operating_system.version_id"},
      {R"(software { name: "a" })", "software[0]"},
      {R"(security { user: "www-data" })", "security.user"},
      {R"(security { user: "99999999999" })", "security.user"},
      {R"(security { user: "1" capabilities: "CAP_CHOWN" })", "security.capabilities[0]"},
      {R"(security { capabilities: "CAP_FLY" })", "security.capabilities[0]", true},
      {"security { dynamic_user: true }", "security.dynamic_user"},
      {"security { protect_system: FULL }", "security.protect_system"},
      {R"(security { read_only_paths: "/etc" })", "security.read_only_paths[0]"},
      {R"(security { protect_system: STRICT read_only_paths: "/m/x" }
          data_sets { name: "m" source: "/m" })",
       "security.read_only_paths[0]"},
      {R"(security { protect_system: STRICT private_tmp: true read_only_paths: "/tmp" })",
       "security.read_only_paths[0]"},
      {R"(security { system_call_filter: "@system-service" })", "security.system_call_filter"},
      {R"(security { restrict_address_families: "AF_INET" })",
       "security.restrict_address_families"},
      {R"(security { secrets { environment_variable: "P" source_file: "/p" } })",
       "security.secrets[0].source_file"},
      {"resources { tasks_max: 1 }", "resources.tasks_max"},
      {"resources { open_files_max: 1 }", "resources.open_files_max"},
      {"resources { cpu_weight: 1 }", "resources.cpu_weight"},
      {"resources { memory_high_bytes: 1 }", "resources.memory_high_bytes"},
      {"network { port_min: 80 port_max: 80 }", "network.port_min", true},
      {"network { port_min: 2000 }", "network.port_max", true},
      {R"(network { connections { host: "10.0.0.1" port: 1 } })", "network.connections[0]"},
      {R"(process { stop_signal: "SIGINT" })", "process.stop_signal"},
      {R"(process { resume_hook { signal: "SIGUSR1" } })", "process.resume_hook.signal"},
      {"process { ready_check { http { expected_status: 404 } } }",
       "process.ready_check.http.expected_status"},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    const absl::Status refused = CheckPodDna(DnaWith(row.fields).dna);
    CHECK(refused.code() ==
          (row.wrong ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kFailedPrecondition));
    CHECK(ErrorField(refused) == std::string("dna.") + row.field);
  }
}

TEST_CASE("a pod says whose it is") {
  const Json metadata = PodWith("")["metadata"];
  CHECK(metadata["name"] == "shadow-0123456789ab-a1");
  CHECK(metadata["labels"]["shadow.dev/instance"] == "a1");
  CHECK(metadata["labels"]["shadow.dev/pool"] == "web");
  CHECK(metadata["labels"]["shadow.dev/state"] == "running");
  CHECK_FALSE(metadata["labels"].contains("shadow.dev/role"));
  CHECK(metadata["annotations"]["shadow.dev/epoch"] == "store/1");
  CHECK(metadata["annotations"]["shadow.dev/dna"] == "dnas/web@0123456789ab");
}

TEST_CASE("a template gives a pod what its DNA does not say") {
  const Json from = Json::parse(R"({
    "metadata": {"labels": {"app": "web", "pod-template-hash": "1", "shadow.dev/role": "active"},
                 "annotations": {"mesh": "on"}},
    "spec": {"serviceAccountName": "web", "tolerations": [{"key": "a"}],
             "containers": [{"name": "main", "image": "old", "args": ["x"],
                             "env": [{"name": "PORT", "value": "1"}, {"name": "Z", "value": "z"}],
                             "livenessProbe": {}, "readinessProbe": {"exec": {}}},
                            {"name": "sidecar", "image": "s"}],
             "volumes": [{"name": "v"}]}})");
  const Json pod = PodWith(R"(data_sets { name: "m" source: "/m" })", &from);
  const Json& first = pod["spec"]["containers"][0];
  CHECK(first["name"] == "main");
  CHECK(first["image"] == "registry.example/web@sha256:" + std::string(64, 'a'));
  CHECK_FALSE(first.contains("args"));
  CHECK_FALSE(first.contains("livenessProbe"));
  CHECK(first["readinessProbe"].contains("tcpSocket"));
  CHECK_FALSE(first["readinessProbe"].contains("exec"));
  CHECK(first["env"][0] == Json{{"name", "PORT"}, {"value", "20000"}});
  CHECK(first["env"][1]["name"] == "Z");
  CHECK(pod["spec"]["containers"][1]["name"] == "sidecar");
  CHECK(pod["spec"]["serviceAccountName"] == "web");
  CHECK(pod["spec"]["volumes"].size() == 2);
  CHECK(pod["metadata"]["labels"]["app"] == "web");
  // No ReplicaSet takes it, and no Service has it yet.
  CHECK_FALSE(pod["metadata"]["labels"].contains("pod-template-hash"));
  CHECK_FALSE(pod["metadata"]["labels"].contains("shadow.dev/role"));
  CHECK(pod["metadata"]["annotations"]["mesh"] == "on");
  CHECK(pod["metadata"]["annotations"]["shadow.dev/container"] == "main");
  const Json empty = Json::object();
  const auto none =
      MakePod(TestInstance("a1", PodDna()), {.tag = "t", .store_id = "s", .epoch = "e"}, &empty);
  CHECK(absl::IsFailedPrecondition(none.status()));
}

// As a kubelet reads a command.
std::string Expanded(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    plain += text[i];
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '$') ++i;
  }
  return plain;
}

// Exit status of the init container's command, on this host.
int CheckOf(const v1::Dna& dna) {
  const Json check = MakeDataCheck(dna);
  std::string line;
  for (const Json& argument : check["command"]) {
    line +=
        "'" + absl::StrReplaceAll(Expanded(argument.get<std::string>()), {{"'", "'\\''"}}) + "' ";
  }
  return std::system((line + "2> /dev/null").c_str());
}

TEST_CASE("an init container compares data sets with their digests") {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "set/sub");
  WriteFile(directory / "set/b", "one");
  WriteFile(directory / "set/a b'c", "two");
  WriteFile(directory / "set/sub/x", "three");
  for (const char* const part : {"set", "set/b"}) {
    CompiledDna dna = PodDna();
    v1::DataSet& data = *dna.dna.add_data_sets();
    data.set_name("d");
    data.set_source(directory / part);
    CHECK(MakeDataCheck(dna.dna).is_null());
    data.set_sha256(std::string(64, '0'));
    CHECK(CheckOf(dna.dna) != 0);
    const auto digest = DataSetDigest(data.source(), {});
    REQUIRE(digest.ok());
    data.set_sha256(*digest);
    CHECK(CheckOf(dna.dna) == 0);
  }
}

}  // namespace
}  // namespace shadow
