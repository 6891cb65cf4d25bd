#include "client/input/manifest.h"

#include <google/protobuf/util/message_differencer.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

absl::StatusOr<std::vector<Manifest>> Parse(std::string_view text) {
  return ParseManifests(text, "f.yaml", ManifestKind::kDnaOrPool);
}

v1::Pool ParsePool(const std::string& fields) {
  const auto manifests = Parse("name: pools/web\n" + fields);
  INFO(fields);
  INFO(manifests.status());
  REQUIRE(manifests.ok());
  return std::get<v1::Pool>(manifests->front());
}

TEST_CASE("documents are DNAs or pools by their name") {
  const auto manifests = Parse("name: dnas/web\n---\n# nothing\n---\nname: pools/web\n");
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 2);
  CHECK(std::get<v1::Dna>((*manifests)[0]).name() == "dnas/web");
  CHECK(std::get<v1::Pool>((*manifests)[1]).name() == "pools/web");
}

TEST_CASE("JSON is taken as YAML is, and both kinds of field names") {
  const auto yaml = Parse(
      "name: pools/web\n"
      "instance_capacity: 40\n"
      "policy: {service_level: 0.95, mode: AUTOMATIC}\n");
  const auto json = Parse(
      "{\"name\": \"pools/web\",\n\t\"instanceCapacity\": 40,\n"
      "\t\"policy\": {\"serviceLevel\": 0.95, \"mode\": \"AUTOMATIC\"}}");
  REQUIRE(yaml.ok());
  REQUIRE(json.ok());
  CHECK(google::protobuf::util::MessageDifferencer::Equals(std::get<v1::Pool>(yaml->front()),
                                                           std::get<v1::Pool>(json->front())));
}

TEST_CASE("values are taken by the type of their field") {
  CHECK(ParsePool("step: 1m").step().seconds() == 60);
  CHECK(ParsePool("step: 0.5s").step().nanos() == 500'000'000);
  CHECK(ParsePool("season_lengths: [24h, \"604800s\", 1d]").season_lengths(1).seconds() == 604800);
  CHECK(ParsePool("managed_instances: \"2\"").managed_instances() == 2);
  CHECK(ParsePool("managed_instances: 0").base_case() == v1::Pool::kManagedInstances);
  CHECK(ParsePool("demand_unit: 12").demand_unit() == "12");
  CHECK(ParsePool("demand_unit: no").demand_unit() == "no");
  CHECK(ParsePool("demand_unit: ~\nprovider: null").demand_unit().empty());
  CHECK(ParsePool("provider: process").provider().has_process());
  CHECK(ParsePool("provider: {process: {}}").provider().has_process());
  CHECK(ParsePool("balancer: none").balancer().has_none());
  CHECK(ParsePool("usage_sources: [pushed]").usage_sources(0).has_pushed());
  CHECK(ParsePool("reconciling: true").reconciling());
  CHECK(ParsePool("usage_sources: [pushed: {}]").usage_sources(0).has_pushed());
  CHECK(ParsePool("policy: &p {headroom: 2}\nbalancer: {none: {}}").policy().headroom() == 2);
  CHECK(ParsePool("create_time: 2026-05-01T12:00:00Z").create_time().seconds() == 1777636800);
  const auto dna = Parse(
      "name: dnas/web\nprocess: {argv: [/bin/x, --port, 80], environment: {A: 1, b.c: \"\"}}");
  REQUIRE(dna.ok());
  const v1::Process& process = std::get<v1::Dna>(dna->front()).process();
  CHECK(process.argv(2) == "80");
  CHECK(process.environment().at("A") == "1");
  CHECK(process.environment().at("b.c").empty());
}

TEST_CASE("what is wrong is named with its path, its line and what was wanted") {
  const struct {
    const char* text;
    const char* message;
  } table[] = {
      {"name: pools/web\npolicy:\n  service_levle: 0.9\n",
       "pool.policy.service_levle: f.yaml line 3: unknown key \"service_levle\"; did you mean "
       "\"service_level\"?"},
      {"name: pools/web\nprovider: docker\n",
       "pool.provider: f.yaml line 2: \"docker\" is not known; known: process, systemd, "
       "kubernetes"},
      {"name: pools/web\nfoobarbaz: 1\n",
       "pool.foobarbaz: f.yaml line 2: unknown key \"foobarbaz\""},
      {"name: pools/web\nstep: 1m\nstep: 2m\n",
       "pool.step: f.yaml line 3: the key \"step\" is there twice"},
      {"name: pools/web\ninstanceCapacity: 1\ninstance_capacity: 2\n",
       "pool.instance_capacity: f.yaml line 3: the key \"instance_capacity\" is there twice"},
      {"name: pools/web\nstep: 5\n",
       "pool.step: f.yaml line 2: \"5\" is not a duration; wanted a number and a unit such as "
       "500ms, 30s, 5m, 1h or 2d, or 0"},
      {"name: pools/web\nreconciling: yes\n",
       "pool.reconciling: f.yaml line 2: \"yes\" is not true or false"},
      {"name: pools/web\nmanaged_instances: 1.5\n",
       "pool.managed_instances: f.yaml line 2: \"1.5\" is not a whole number of 32 bits"},
      {"name: pools/web\nmanaged_instances: 2147483648\n",
       "pool.managed_instances: f.yaml line 2: \"2147483648\" is not a whole number of 32 bits"},
      {"name: pools/web\ninstance_capacity: many\n",
       "pool.instance_capacity: f.yaml line 2: \"many\" is not a number"},
      {"name: pools/web\npolicy: {mode: automatic}\n",
       "pool.policy.mode: f.yaml line 2: \"automatic\" is not one of OBSERVE, AUTOMATIC"},
      {"name: pools/web\npolicy: fast\n",
       "pool.policy: f.yaml line 2: wanted a map of fields, found a single value"},
      {"name: pools/web\nusage_sources: {pushed: {}}\n",
       "pool.usage_sources: f.yaml line 2: wanted a list, found a map"},
      {"name: pools/web\nusage_sources:\n  - pushed:\n",
       "pool.usage_sources[0].pushed: f.yaml line 3: wanted a map of fields, found nothing; write "
       "{}"},
      {"name: pools/web\nbalancer: {none: {}, haproxy: {}}\n",
       "pool.balancer.haproxy: f.yaml line 2: only one of \"none\" and \"haproxy\" may be set"},
      {"name: pools/web\ndemand_unit: [a]\n",
       "pool.demand_unit: f.yaml line 2: wanted a single value, found a list"},
      {"name: pools/web\ndemand_unit: !secret a\n",
       "pool.demand_unit: f.yaml line 2: the tag !secret is not supported"},
      {"name: pools/web\npolicy:\n  <<: {headroom: 2}\n",
       "pool.policy.<<: f.yaml line 3: unknown key \"<<\""},
      {"name: dnas/web\nprocess: {environment: {A: 1, A: 2}}\n",
       "dna.process.environment.A: f.yaml line 2: the key \"A\" is there twice"},
      {"name: web\n",
       "name: f.yaml line 1: \"web\" names neither a DNA (dnas/...) nor a pool (pools/...)"},
      {"- a\n", "name: f.yaml line 1: \"\" names neither a DNA (dnas/...) nor a pool (pools/...)"},
      {"", "f.yaml: no document in it"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(Parse(row.text).status() == absl::InvalidArgumentError(row.message));
  }
  CHECK_THAT(std::string(Parse("name: [pools/web\n").status().message()),
             Catch::StartsWith("f.yaml: line 2: "));
}

TEST_CASE("text that is not UTF-8 is refused before it reaches the wire") {
  const auto status = Parse("name: dnas/web\nprocess: {argv: [\"\\xff\", \"\xFF\"]}").status();
  CHECK(absl::IsInvalidArgument(status));
}

TEST_CASE("a file cannot make shadowctl grow without bound") {
  std::string bomb = "name: pools/web\nseason_lengths: &a [1s,1s,1s,1s,1s,1s,1s,1s,1s,1s]\n";
  std::string list;
  for (int i = 0; i < 20'000; ++i) list += "- *a\n";
  CHECK(absl::IsInvalidArgument(Parse(bomb + "usage_sources:\n" + list).status()));
  const std::string deep = "name: pools/web\npolicy: " + std::string(20'000, '[');
  CHECK(absl::IsInvalidArgument(Parse(deep).status()));
  CHECK(absl::IsInvalidArgument(Parse(std::string(kManifestBytesMax + 1, '#')).status()));
  for (const char* endless : {",", "a: b\n---\n,"}) {  // To yaml-cpp, which reads no further.
    CHECK_THAT(std::string(Parse(endless).status().message()), Catch::Contains("not YAML"));
  }
  std::string durations = "name: pools/web\nseason_lengths:\n";
  for (int i = 0; i < 100'001; ++i) durations += "- 1s\n";
  CHECK_THAT(std::string(Parse(durations).status().message()),
             Catch::Contains("more than 100000 values"));
}

TEST_CASE("where the kind is known the name may be short and the other kind is refused") {
  const auto dna = ParseManifests("name: web\n", "f.yaml", ManifestKind::kDna);
  REQUIRE(dna.ok());
  CHECK(std::get<v1::Dna>(dna->front()).name() == "dnas/web");
  CHECK(ParseManifests("name: pools/web\n", "f.yaml", ManifestKind::kDna).status() ==
        absl::InvalidArgumentError("name: f.yaml line 1: \"pools/web\" is not a DNA; `shadowctl "
                                   "apply -f` takes both in one file"));
}

TEST_CASE("in a pool with a time zone a time must say its own") {
  constexpr char kEvent[] = "demand_events: [{start_time: 2026-12-24 09:00:00, demand: 1}]\n";
  CHECK(ParsePool(kEvent).demand_events(0).start_time().seconds() == 1798102800);  // UTC.
  CHECK(ParsePool(std::string("time_zone: UTC\n") + kEvent).demand_events_size() == 1);
  CHECK(ParsePool("time_zone: Europe/Berlin\n"
                  "demand_events: [{start_time: \"2026-12-24T09:00:00+01:00\", demand: 1}]\n")
            .demand_events(0)
            .start_time()
            .seconds() == 1798099200);
  for (const char* key : {"time_zone", "timeZone"}) {
    const auto manifests =
        Parse(absl::StrCat("name: pools/web\n", kEvent, key, ": Europe/Berlin\n"));
    CHECK(manifests.status() ==
          absl::InvalidArgumentError(
              "pool.demand_events[0].start_time: f.yaml line 2: a time without a zone, in a pool "
              "whose time_zone is Europe/Berlin; wanted one with it, such as "
              "2026-05-01T09:30:00+02:00 or 2026-05-01T07:30:00Z"));
  }
  // Of one document only.
  CHECK(Parse(absl::StrCat("name: pools/a\ntime_zone: Asia/Tokyo\n---\nname: pools/web\n", kEvent))
            .ok());
}

TEST_CASE("input is read from a file or from standard input, up to its limit") {
  std::istringstream input("0123456789");
  CHECK(*ReadInput("-", input, 10, "--file") == "0123456789");
  std::istringstream more("0123456789x");
  CHECK(ReadInput("-", more, 10, "--file").status() ==
        absl::InvalidArgumentError("--file: \"-\" holds more than 10 bytes"));
  CHECK(ReadInput("/nonexistent/f", more, 10, "--file").status() ==
        absl::InvalidArgumentError("--file: cannot read \"/nonexistent/f\""));
}

std::string Example(const char* name) {
  std::ifstream file(absl::StrCat(SHADOW_SOURCE_DIR "/client/examples/", name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("the example without a balancer parses into a DNA and its pool") {
  const auto manifests = Parse(Example("demo.yaml"));
  INFO(manifests.status());
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 2);
  CHECK(std::get<v1::Pool>((*manifests)[1]).dna() == std::get<v1::Dna>((*manifests)[0]).name());
}

TEST_CASE("the example parses into a DNA and its pool") {
  const auto manifests = Parse(Example("web.yaml"));
  INFO(manifests.status());
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 2);
  const auto& dna = std::get<v1::Dna>((*manifests)[0]);
  CHECK(dna.process().argv_size() == 11);
  CHECK(dna.process().argv(0) == "/usr/local/lib/shadowd/shadow-demo-worker");
  CHECK(dna.process().argv(10) == "$(PORT)");
  CHECK(dna.process().ready_check().http().path() == "/healthz");
  CHECK(dna.warm_up().requests() == 3);
  const auto& pool = std::get<v1::Pool>((*manifests)[1]);
  CHECK(pool.dna() == dna.name());
  CHECK(pool.step().seconds() == 60);
  CHECK(pool.balancer().haproxy().backend() == "web");
  CHECK(pool.usage_sources(0).haproxy().frontend() == "public");
}

}  // namespace
}  // namespace shadow
