#include "server/core/spec/canonical.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "server/core/spec.h"
#include "server/core/spec/output_fields.h"

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
        "resources { cpu_millis: 0 }", "security { protect_system: FULL }",
        "network { port_max: 30011 }", "process { environment { key: \"C\" value: \"\" } }",
        "process { argv: \"\" }", "warm_up { expected_status: 0 }", "warm_up { requests: 4 }"}) {
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

// Sets every field of `message` to something, messages to empty ones.
void SetEveryField(google::protobuf::Message& message) {
  using Field = google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const Field* field = message.GetDescriptor()->field(i);
    switch (field->cpp_type()) {
      case Field::CPPTYPE_MESSAGE:
        if (field->is_repeated()) {
          reflection.AddMessage(&message, field);
        } else {
          reflection.MutableMessage(&message, field);
        }
        break;
      case Field::CPPTYPE_STRING:
        if (field->is_repeated()) {
          reflection.AddString(&message, field, "x");
        } else {
          reflection.SetString(&message, field, "x");
        }
        break;
      case Field::CPPTYPE_BOOL:
        reflection.SetBool(&message, field, true);
        break;
      case Field::CPPTYPE_DOUBLE:
        reflection.SetDouble(&message, field, 1);
        break;
      case Field::CPPTYPE_INT32:
        reflection.SetInt32(&message, field, 1);
        break;
      case Field::CPPTYPE_ENUM:
        reflection.SetEnumValue(&message, field, 1);
        break;
      default:
        FAIL("no value for " << field->full_name());
    }
  }
}

// By name, of fields that are set.
std::set<std::string> FieldsOf(const google::protobuf::Message& message) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  std::set<std::string> names;
  for (const auto* field : set) names.insert(field->name());
  return names;
}

TEST_CASE("what is numbered 20 and above is the daemon's, and everything else the user's") {
  v1::Dna dna;
  v1::Pool pool;
  SetEveryField(dna);
  SetEveryField(pool);
  const std::string canonical = CanonicalJson(dna);
  for (google::protobuf::Message* resource :
       std::initializer_list<google::protobuf::Message*>{&dna, &pool}) {
    std::set<std::string> users;
    for (const std::string& name : FieldsOf(*resource)) {
      const auto* field = resource->GetDescriptor()->FindFieldByName(name);
      if (field->number() < 20) users.insert(name);
    }
    ClearOutputOnly(*resource);
    CHECK(FieldsOf(*resource) == users);
  }
  // Of the user's fields, all but the name make the revision.
  for (const std::string& name : FieldsOf(dna)) {
    const std::string key = dna.GetDescriptor()->FindFieldByName(name)->json_name();
    INFO(key);
    CHECK((canonical.find("\"" + key + "\":") != std::string::npos) == (name != "name"));
  }
  CHECK(canonical == CanonicalJson(dna));
}

TEST_CASE("the daemon's fields are copied all, and the user's stay") {
  v1::Pool from;
  SetEveryField(from);
  v1::Pool to;
  to.set_name("pools/mine");
  to.set_etag("old");
  to.add_conditions();
  CopyOutputOnly(from, to);
  std::set<std::string> expected = {"name"};
  for (const std::string& name : FieldsOf(from)) {
    if (from.GetDescriptor()->FindFieldByName(name)->number() >= 20) expected.insert(name);
  }
  CHECK(FieldsOf(to) == expected);
  CHECK(to.name() == "pools/mine");
  CHECK(to.etag() == from.etag());
  CHECK(to.conditions_size() == 1);
}

}  // namespace
}  // namespace shadow
