#include "server/providers/kubernetes/pod_verify.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "server/providers/kubernetes/pod_spec.h"
#include "tests/server/providers/kubernetes_world.h"

namespace shadow {
namespace {

struct Admitted {
  Admitted() {
    CompiledDna dna = PodDna();
    dna.dna.mutable_resources()->set_cpu_millis(1500);
    dna.dna.mutable_resources()->set_memory_max_bytes(1 << 30);
    dna.dna.mutable_security()->set_user("1000");
    dna.dna.mutable_security()->set_no_new_privileges(true);
    (*dna.dna.mutable_process()->mutable_environment())["A"] = "b";
    v1::DataSet& data = *dna.dna.add_data_sets();
    data.set_name("m");
    data.set_source("/m");
    data.set_read_only(true);
    data.set_sha256(std::string(64, 'c'));
    instance = TestInstance("a1", dna);
    pod = *MakePod(instance, {.tag = "t", .store_id = "s", .epoch = "s/1"}, nullptr);
    // As an API server writes it, and a node adds.
    Container()["resources"]["limits"] = {{"cpu", "1500m"}, {"memory", "1Gi"}};
    Container()["securityContext"].erase("privileged");
    Container()["readinessProbe"]["successThreshold"] = 1;
    Container()["volumeMounts"].push_back({{"name", "token"}, {"mountPath", "/var/run/x"}});
    pod["spec"]["containers"].insert(pod["spec"]["containers"].begin(), {{"name", "mesh"}});
    pod["spec"]["dnsPolicy"] = "ClusterFirst";
    pod["status"]["containerStatuses"] = {
        {{"name", kContainerName},
         {"imageID", "docker-pullable://registry.example/web@sha256:" + std::string(64, 'a')}}};
  }
  Json& Container() { return pod["spec"]["containers"].back(); }
  Provider::Differences Compare(const PodExpectation& expectation = {}) const {
    return PodDifferences(instance, pod, expectation);
  }

  InstanceSpec instance;
  Json pod;
};

TEST_CASE("a pod that was admitted as it was asked for differs in nothing") {
  CHECK(Admitted().Compare() == Provider::Differences{});
}

TEST_CASE("each change of an admitted pod is a difference in its field") {
  const struct {
    const char* field;
    std::function<void(Admitted&)> change;
  } rows[] = {
      {"operating_system.image", [](Admitted& a) { a.Container()["image"] = "other"; }},
      {"operating_system.image_digest",
       [](Admitted& a) {
         a.pod["status"]["containerStatuses"][0]["imageID"] = "x@sha256:" + std::string(64, 'b');
       }},
      {"process.argv", [](Admitted& a) { a.Container()["command"].push_back("x"); }},
      {"process.argv", [](Admitted& a) { a.Container()["args"] = {"x"}; }},
      {"process.working_directory", [](Admitted& a) { a.Container()["workingDir"] = "/x"; }},
      {"process.environment[A]", [](Admitted& a) { a.Container()["env"][4]["value"] = "c"; }},
      {"process.environment[A]", [](Admitted& a) { a.Container()["env"].erase(4); }},
      {"process.environment[SPY]",
       [](Admitted& a) {
         a.Container()["env"].push_back({{"name", "SPY"}, {"value", "1"}});
       }},
      {"process.environment",
       [](Admitted& a) {
         a.Container()["envFrom"] = {{{"x", 1}}};
       }},
      {"resources.cpu_millis",
       [](Admitted& a) { a.Container()["resources"]["limits"]["cpu"] = "2"; }},
      {"resources.memory_max_bytes",
       [](Admitted& a) { a.Container()["resources"]["limits"].erase("memory"); }},
      {"security", [](Admitted& a) { a.Container()["securityContext"]["privileged"] = true; }},
      {"security", [](Admitted& a) { a.Container()["securityContext"]["runAsUser"] = 0; }},
      {"security.capabilities",
       [](Admitted& a) {
         a.Container()["securityContext"]["capabilities"]["add"] = {"SYS_ADMIN"};
       }},
      {"security", [](Admitted& a) { a.Container().erase("securityContext"); }},
      {"security", [](Admitted& a) { a.pod["spec"]["hostNetwork"] = true; }},
      {"security", [](Admitted& a) { a.pod["spec"]["securityContext"] = Json::object(); }},
      {"process.ready_check",
       [](Admitted& a) { a.Container()["readinessProbe"]["tcpSocket"]["port"] = 1; }},
      {"data_sets at /m", [](Admitted& a) { a.Container()["volumeMounts"][0].erase("readOnly"); }},
      {"data_sets at /m",
       [](Admitted& a) { a.pod["spec"]["volumes"][0]["hostPath"]["path"] = "/x"; }},
      {"data_sets", [](Admitted& a) { a.pod["spec"].erase("initContainers"); }},
      {"process.stop_timeout",
       [](Admitted& a) { a.pod["spec"]["terminationGracePeriodSeconds"] = 99; }},
      {"process", [](Admitted& a) { a.pod["spec"]["restartPolicy"] = "Always"; }},
      {"process", [](Admitted& a) { a.Container()["name"] = "renamed"; }},
  };
  for (const auto& row : rows) {
    Admitted admitted;
    row.change(admitted);
    const Provider::Differences found = admitted.Compare();
    INFO(row.field);
    REQUIRE(found.size() == 1);
    INFO(found[0]);
    CHECK(found[0].starts_with("dna." + std::string(row.field) + ": "));
    CHECK(found[0].find("SPY=1") == std::string::npos);
  }
}

TEST_CASE("a suspended pod may have its least CPU, and one that runs must not") {
  Admitted admitted;
  admitted.Container()["resources"]["limits"]["cpu"] = "10m";
  CHECK(admitted.Compare({.templated = false, .suspended_cpu_millis = 10}).empty());
  CHECK(admitted.Compare().size() == 1);
}

TEST_CASE("what is no pod differs, and nothing else happens") {
  const Admitted admitted;
  for (const char* text : {"{}", R"({"spec":7})", R"({"spec":{"containers":[1,{}]}})",
                           R"({"metadata":{"annotations":[]},"spec":{"containers":"x"}})"}) {
    CHECK_FALSE(PodDifferences(admitted.instance, Json::parse(text), {}).empty());
  }
}

}  // namespace
}  // namespace shadow
