// shadowctl pool adopt, on what kubectl prints of a Deployment (Kubernetes 1.20.2, shortened).
#include <catch2/catch.hpp>
#include <string>
#include <variant>

#include "absl/strings/str_replace.h"
#include "client/input/manifest.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr char kDigest[] =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";

constexpr char kCluster[] = R"LIST({"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "apps/v1", "kind": "Deployment",
 "metadata": {"name": "web", "namespace": "shop"},
 "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
  "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
   "terminationGracePeriodSeconds": 20, "securityContext": {"runAsUser": 1000},
   "containers": [{
    "name": "main", "image": "registry.example/web:1.4",
    "command": ["/usr/bin/web", "--port", "$(PORT)"], "args": ["--greet", "$(GREETING)", "$$(X)"],
    "workingDir": "/srv",
    "env": [{"name": "PORT", "value": "8080"},
            {"name": "GREETING", "value": "good day"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    "ports": [{"name": "metrics", "containerPort": 9100, "protocol": "TCP"},
              {"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"},
                  "requests": {"cpu": "100m", "memory": "64Mi"}},
    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]}},
    "readinessProbe": {"failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 2,
                       "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}}}]}}},
 "status": {"replicas": 3, "readyReplicas": 2}},
{"apiVersion": "v1", "kind": "Pod",
 "metadata": {"name": "web-5d9f-abcde", "namespace": "shop",
  "labels": {"app": "web", "pod-template-hash": "5d9f"},
  "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9f"}]},
 "spec": {"containers": [{"name": "main", "image": "registry.example/web:1.4"}]},
 "status": {"containerStatuses": [{"name": "main", "imageID":
  "docker-pullable://registry.example/web@DIGEST"}]}},
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "namespace": "shop"},
 "spec": {"selector": {"app": "web"}}}
]})LIST";

Ran Adopt(const std::string& input, const std::string& what = "deployment/web") {
  return RunCommandLine({"pool", "adopt", what, "-f", "-"}, {.input = input});
}

std::string Cluster() { return absl::StrReplaceAll(kCluster, {{"DIGEST", kDigest}}); }

// Cluster() with one thing other than it is.
std::string With(const std::string& old_text, const std::string& new_text) {
  const std::string cluster = Cluster();
  REQUIRE(cluster.find(old_text) != std::string::npos);
  return absl::StrReplaceAll(cluster, {{old_text, new_text}});
}

struct Adopted {
  v1::Dna dna;
  v1::Pool pool;
};

Adopted AdoptedFrom(const std::string& input) {
  const Ran ran = Adopt(input);
  INFO(ran.err);
  REQUIRE(ran.exit_code == 0);
  const auto manifests = ParseManifests(ran.out, "out", ManifestKind::kDnaOrPool);
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 2);
  return {.dna = std::get<v1::Dna>((*manifests)[0]), .pool = std::get<v1::Pool>((*manifests)[1])};
}

void CheckRefused(const std::string& input, const std::string& field) {
  const Ran ran = Adopt(input);
  INFO(ran.err);
  CHECK(ran.exit_code == 5);
  CHECK(ran.out.empty());
  CHECK(ran.err.find(field) != std::string::npos);
}

TEST_CASE("what runs as a Deployment becomes a DNA, field by field") {
  const v1::Dna dna = AdoptedFrom(Cluster()).dna;
  CHECK(dna.name() == "dnas/web");
  CHECK(dna.operating_system().image() == "registry.example/web:1.4");
  CHECK(dna.operating_system().image_digest() == kDigest);
  CHECK(dna.network().port_min() == 8080);
  CHECK(dna.network().port_max() == 8080);
  const auto& argv = dna.process().argv();
  CHECK(std::vector<std::string>(argv.begin(), argv.end()) ==
        std::vector<std::string>{"/usr/bin/web", "--port", "8080", "--greet", "good day", "$(X)"});
  CHECK(dna.process().working_directory() == "/srv");
  CHECK(dna.process().environment().size() == 1);
  CHECK(dna.process().environment().at("GREETING") == "good day");
  CHECK(dna.process().stop_timeout().seconds() == 20);
  CHECK(dna.process().ready_check().http().path() == "/healthz");
  CHECK(dna.process().ready_check().timeout().seconds() == 2);
  REQUIRE(dna.security().secrets_size() == 1);
  CHECK(dna.security().secrets(0).environment_variable() == "PASSWORD");
  CHECK(dna.security().secrets(0).secret_name() == "db");
  CHECK(dna.security().secrets(0).secret_key() == "password");
  CHECK(dna.security().user() == "1000");
  CHECK(dna.security().no_new_privileges());
  CHECK(dna.security().protect_system() == v1::Security::STRICT);
  CHECK(dna.resources().cpu_millis() == 1500);
  CHECK(dna.resources().memory_max_bytes() == 64 << 20);
}

TEST_CASE("the pool of a Deployment observes, and counts what is ready as its base") {
  const v1::Pool pool = AdoptedFrom(Cluster()).pool;
  CHECK(pool.name() == "pools/web");
  CHECK(pool.dna() == "dnas/web");
  CHECK(pool.policy().mode() == v1::Policy::OBSERVE);
  CHECK(pool.external_capacity() == 2);
  CHECK(pool.provider().kubernetes().namespace_() == "shop");
  CHECK(pool.provider().kubernetes().template_deployment() == "web");
  CHECK(pool.balancer().has_service());
}

TEST_CASE("an adoption says what is other than it was, and which Service needs the role") {
  const Ran ran = Adopt(Cluster());
  CHECK(ran.err.find("The template sets NODE, not the DNA.") != std::string::npos);
  CHECK(ran.err.find("The request of cpu becomes its limit, 1500m.") != std::string::npos);
  CHECK(ran.err.find("The request of memory") == std::string::npos);
  CHECK(ran.err.find("Service front would send traffic to suspended instances too") !=
        std::string::npos);
  const Ran apart = Adopt(With(R"("selector": {"app": "web"}})", R"("selector": {"app": "x"}})"));
  CHECK(apart.err.find("would send traffic") == std::string::npos);
}

TEST_CASE("a request without a limit becomes no limit") {
  const v1::Dna dna = AdoptedFrom(With(R"("limits": {"cpu": "1500m", "memory": "64Mi"},)", "")).dna;
  CHECK_FALSE(dna.resources().has_cpu_millis());
  CHECK_FALSE(dna.resources().has_memory_max_bytes());
}

TEST_CASE("a digest in the image is taken as it is, and no pod is asked") {
  const std::string image = std::string(R"("image": "registry.example/web:1.4@)") + kDigest;
  const v1::Dna dna = AdoptedFrom(With(R"("image": "registry.example/web:1.4)", image)).dna;
  CHECK(dna.operating_system().image() == "registry.example/web:1.4");
  CHECK(dna.operating_system().image_digest() == kDigest);
}

TEST_CASE("an image without a digest that its own pods tell is refused") {
  CheckRefused(With("docker-pullable://registry.example/web@", "docker://"), "containers[0].image");
  CheckRefused(With(R"("name": "web-5d9f"})", R"("name": "other-5d9f"})"), "containers[0].image");
}

TEST_CASE("what an instance cannot do is refused, naming the field of the Deployment") {
  CheckRefused(With(R"("command": [)", R"("entry": [)"), "].command");
  CheckRefused(With("\"/usr/bin/web\"", "\"web\""), "].command[0]");
  CheckRefused(With("$(GREETING)", "$(PASSWORD)"), "].args");
  CheckRefused(With(R"("value": "8080")", R"("value": "80")"), "].env[0]");
  CheckRefused(With(R"("readOnlyRootFilesystem")", R"("privileged": true, "x")"), "privileged");
  CheckRefused(With(R"("scheme": "HTTP")", R"("scheme": "HTTPS")"), "].readinessProbe.httpGet");
  CheckRefused(With(R"("cpu": "1500m")", R"("cpu": "much")"), "].resources.limits.cpu");
}

TEST_CASE("a file without the Deployment, or without objects, is named") {
  CHECK(Adopt(Cluster(), "deployment/shop").exit_code == 3);
  CHECK(Adopt("", "deployment/web").exit_code == 2);
  CHECK(Adopt("[1]", "deployment/web").exit_code == 2);
  CHECK(Adopt(R"({"items": [null, 1, "x"]})", "deployment/web").exit_code == 3);
  const Ran kind = Adopt(Cluster(), "statefulset/web");
  CHECK(kind.exit_code == 2);
  CHECK(kind.err.find("wanted deployment/NAME") != std::string::npos);
}

TEST_CASE("Deployments of one name in two namespaces are refused") {
  const std::string deployment = R"({"kind": "Deployment", "metadata": {"name": "web"}})";
  CHECK(Adopt(R"({"items": [)" + deployment + "," + deployment + "]}").exit_code == 2);
}

}  // namespace
}  // namespace shadow
