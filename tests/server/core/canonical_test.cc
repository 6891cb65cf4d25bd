#include "server/core/spec/canonical.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <string>

#include "server/core/spec.h"

namespace shadow {
namespace {

v1::Dna Parse(const std::string& text) {
  v1::Dna dna;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &dna));
  return dna;
}

constexpr char kDna[] = R"pb(
  name: "dnas/web"
  data_sets {
    name: "pages"
    source: "/srv/pages"
    read_only: true
    sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }
  resources { memory_max_bytes: 5000000000 tasks_max: 0 }
  network { port_min: 30000 port_max: 30010 }
  process {
    argv: "/usr/bin/worker"
    argv: "--port=$(PORT)"
    argv: "say \"hi\" \\ \303\274"
    environment { key: "B" value: "2" }
    environment { key: "a" value: "3" }
    environment { key: "A" value: "1" }
    ready_check {
      tcp {}
      interval { nanos: 250000000 }
    }
    stop_timeout { seconds: 90 }
  }
  warm_up {
    requests: 3
    latency_max { nanos: 1 }
  }
)pb";

TEST_CASE("canonical JSON has sorted keys, no spaces, and leaves unset fields out") {
  // tasksMax has presence and stays although it is zero; mountPath is unset and goes.
  const std::string want =
      R"j({"dataSets":[{"name":"pages","readOnly":true,"sha256":")j" + std::string(64, 'a') +
      R"j(","source":"/srv/pages"}],"network":{"portMax":30010,"portMin":30000},)j"
      R"j("process":{"argv":["/usr/bin/worker","--port=$(PORT)","say \"hi\" \\ )j"
      "\xC3\xBC"
      R"j("],"environment":{"A":"1","B":"2","a":"3"},)j"
      R"j("readyCheck":{"interval":"0.25s","tcp":{}},"stopTimeout":"90s"},)j"
      R"j("resources":{"memoryMaxBytes":5000000000,"tasksMax":0},)j"
      R"j("warmUp":{"latencyMax":"0.000000001s","requests":3}})j";
  CHECK(CanonicalJson(Parse(kDna)) == want);
  CHECK(CanonicalJson(v1::Dna()) == "{}");
}

TEST_CASE("a revision is the start of what sha256sum prints for the canonical JSON") {
  CHECK(RevisionOf(Parse(kDna)) == "e40047522a3b");
  // printf '{}' | sha256sum
  CHECK(RevisionOf(v1::Dna()) == "44136fa355b3");
}

TEST_CASE("a revision depends on neither name, output-only fields nor the order of a map") {
  const std::string revision = RevisionOf(Parse(kDna));
  v1::Dna dna = Parse(kDna);
  dna.set_name("dnas/other");
  dna.set_revision("0123456789ab");
  dna.add_revisions("0123456789ab");
  dna.set_etag("x");
  dna.mutable_create_time()->set_seconds(1);
  dna.mutable_update_time()->set_seconds(2);
  CHECK(RevisionOf(dna) == revision);

  auto& environment = *dna.mutable_process()->mutable_environment();
  environment.clear();
  for (int i = 0; i < 100; ++i) environment["K" + std::to_string(i)] = "v";
  const std::string ascending = RevisionOf(dna);
  environment.clear();
  for (int i = 99; i >= 0; --i) environment["K" + std::to_string(i)] = "v";
  CHECK(RevisionOf(dna) == ascending);
}

TEST_CASE("a revision changes with every content field") {
  const std::string revision = RevisionOf(Parse(kDna));
  for (const char* change :
       {"operating_system { id: \"debian\" }", "software { name: \"x\" }", "data_sets {}",
        "security { no_new_privileges: true }", "resources { tasks_max: 1 }",
        "resources { cpu_millis: 0 }", "network { port_max: 30011 }",
        "process { environment { key: \"C\" value: \"\" } }", "process { argv: \"\" }",
        "warm_up { expected_status: 0 }", "warm_up { requests: 4 }"}) {
    INFO(change);
    v1::Dna dna = Parse(kDna);
    REQUIRE(google::protobuf::TextFormat::MergeFromString(change, &dna));
    CHECK(RevisionOf(dna) != revision);
  }
}

TEST_CASE("strings that differ only in what JSON escapes stay apart") {
  v1::Dna dna;
  dna.mutable_process()->add_argv("a\"],\"b");
  CHECK(CanonicalJson(dna) == R"({"process":{"argv":["a\"],\"b"]}})");
  dna.mutable_process()->set_argv(0, "tab\t");
  CHECK(CanonicalJson(dna) == R"({"process":{"argv":["tab\u0009"]}})");
}

}  // namespace
}  // namespace shadow
