#include "server/providers/facts/verify.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

// Facts in which Differences(dna, facts) finds nothing.
Facts MatchingFacts(const CompiledDna& compiled) {
  constexpr int64_t kUid = 1000;
  const v1::Dna& dna = compiled.dna;
  Facts facts;
  facts.os_id = dna.operating_system().id();
  facts.os_version_id = dna.operating_system().version_id();
  for (const v1::Software& software : dna.software()) {
    facts.software_output[software.name()] = software.name() + " " + software.version() + "\n";
  }
  for (const v1::DataSet& set : dna.data_sets()) {
    facts.data_sets[set.name()] = {
        .sha256 = set.sha256(), .error = "", .writable = !set.read_only()};
  }
  facts.uid = facts.wanted_uid = kUid;
  for (const std::string& name : dna.security().capabilities()) facts.capabilities.insert(name);
  facts.no_new_privileges = dna.security().no_new_privileges();
  for (const v1::Connection& end : dna.network().connections()) {
    facts.connections.insert(RemoteEnd(end.host(), end.port()));
  }
  const v1::Resources& limits = dna.resources();
  if (limits.has_cpu_millis()) facts.limits["cpu_millis"] = limits.cpu_millis();
  if (limits.has_memory_max_bytes()) facts.limits["memory_max_bytes"] = limits.memory_max_bytes();
  if (limits.has_tasks_max()) facts.limits["tasks_max"] = limits.tasks_max();
  if (limits.has_open_files_max()) facts.limits["open_files_max"] = limits.open_files_max();
  return facts;
}

const std::string kWantedDigest(64, 'a');
const std::string kOtherDigest(64, 'b');

// A DNA that speaks of everything that can be verified.
CompiledDna FullDna() {
  CompiledDna compiled = TestDna();
  v1::Dna& dna = compiled.dna;
  dna.mutable_operating_system()->set_id("debian");
  dna.mutable_operating_system()->set_version_id("12");
  v1::Software& software = *dna.add_software();
  software.set_name("python");
  software.set_version("3.11.2");
  software.add_verify_argv("/usr/bin/python3");
  v1::DataSet& set = *dna.add_data_sets();
  set.set_name("catalog");
  set.set_source("/srv/catalog");
  set.set_read_only(true);
  set.set_sha256(kWantedDigest);
  dna.mutable_security()->set_user("web");
  dna.mutable_security()->add_capabilities("CAP_NET_BIND_SERVICE");
  dna.mutable_security()->set_no_new_privileges(true);
  dna.mutable_security()->add_read_only_paths("/etc");
  dna.mutable_security()->add_secrets()->set_environment_variable("TOKEN");
  dna.mutable_resources()->set_cpu_millis(500);
  dna.mutable_resources()->set_memory_max_bytes(1 << 30);
  dna.mutable_resources()->set_tasks_max(64);
  dna.mutable_resources()->set_open_files_max(256);
  v1::Connection& connection = *dna.mutable_network()->add_connections();
  connection.set_host("10.0.0.1");
  connection.set_port(5432);
  return compiled;
}

TEST_CASE("an instance that is what its DNA says has no differences") {
  const CompiledDna dna = FullDna();
  CHECK(Differences(dna, MatchingFacts(dna)).empty());
  CHECK(Differences(TestDna(), Facts{}).empty());
}

TEST_CASE("each difference names the field, what was wanted and what was found") {
  struct Row {
    const char* what;
    std::function<void(Facts&)> change;
    std::string sentence;
  };
  const std::vector<Row> rows = {
      {"os id", [](Facts& f) { f.os_id = "ubuntu"; },
       "dna.operating_system.id: wanted debian, found ubuntu"},
      {"os version", [](Facts& f) { f.os_version_id = ""; },
       "dna.operating_system.version_id: wanted 12, found nothing"},
      {"software", [](Facts& f) { f.software_output["python"] = "Python 3.9.2\n"; },
       "dna.software[python].version: wanted 3.11.2, found Python 3.9.2"},
      {"no software", [](Facts& f) { f.software_output.clear(); },
       "dna.software[python].version: wanted 3.11.2, found nothing"},
      {"digest", [](Facts& f) { f.data_sets["catalog"].sha256 = kOtherDigest; },
       "dna.data_sets[catalog].sha256: wanted " + kWantedDigest + ", found " + kOtherDigest},
      {"unreadable",
       [](Facts& f) {
         f.data_sets["catalog"] = {.sha256 = "", .error = "cannot open it", .writable = false};
       },
       "dna.data_sets[catalog].sha256: wanted " + kWantedDigest + ", found cannot open it"},
      {"writable", [](Facts& f) { f.data_sets["catalog"].writable = true; },
       "dna.data_sets[catalog].read_only: wanted read-only, found that the instance can write it"},
      {"user", [](Facts& f) { f.uid = 0; },
       "dna.security.user: wanted web (uid 1000), found uid 0"},
      {"no such user", [](Facts& f) { f.uid = f.wanted_uid = -1; },
       "dna.security.user: wanted web (no such user on this host), found uid -1"},
      {"capabilities", [](Facts& f) { f.capabilities = {"CAP_SYS_ADMIN"}; },
       "dna.security.capabilities: wanted CAP_NET_BIND_SERVICE, found CAP_SYS_ADMIN"},
      {"no capabilities", [](Facts& f) { f.capabilities.clear(); },
       "dna.security.capabilities: wanted CAP_NET_BIND_SERVICE, found none"},
      {"privileges", [](Facts& f) { f.no_new_privileges = false; },
       "dna.security.no_new_privileges: wanted true, found false"},
      {"path", [](Facts& f) { f.writable_paths = {"/etc"}; },
       "dna.security.read_only_paths[/etc]: wanted read-only, found that the instance can write "
       "it"},
      {"secret", [](Facts& f) { f.changed_secrets = {"TOKEN"}; },
       "dna.security.secrets[TOKEN]: wanted what its source_file holds, found an older content"},
      {"cpu", [](Facts& f) { f.limits.erase("cpu_millis"); },
       "dna.resources.cpu_millis: wanted 500, found no limit"},
      {"memory", [](Facts& f) { f.limits["memory_max_bytes"] = 5; },
       "dna.resources.memory_max_bytes: wanted 1073741824, found 5"},
      {"tasks", [](Facts& f) { f.limits["tasks_max"] = 65; },
       "dna.resources.tasks_max: wanted 64, found 65"},
      {"files", [](Facts& f) { f.limits["open_files_max"] = 1; },
       "dna.resources.open_files_max: wanted 256, found 1"},
      {"connection", [](Facts& f) { f.connections = {"10.0.0.2:5432"}; },
       "dna.network.connections: wanted an established connection to 10.0.0.1:5432, found "
       "10.0.0.2:5432"},
  };
  const CompiledDna dna = FullDna();
  for (const Row& row : rows) {
    INFO(row.what);
    Facts facts = MatchingFacts(dna);
    row.change(facts);
    CHECK(Differences(dna, facts) == std::vector<std::string>{row.sentence});
  }
}

TEST_CASE("what only a unit has is compared as far as it can be seen") {
  CompiledDna dna = TestDna();
  v1::Security& security = *dna.dna.mutable_security();
  security.set_protect_system(v1::Security::FULL);
  security.set_private_tmp(true);
  security.add_system_call_filter("@system-service");
  security.add_restrict_address_families("AF_INET");
  dna.dna.mutable_resources()->set_cpu_weight(7);
  dna.dna.mutable_resources()->set_memory_high_bytes(4096);
  Facts facts;
  facts.protect_system = v1::Security::USR;
  CHECK(Differences(dna, facts) ==
        std::vector<std::string>{
            "dna.security.protect_system: wanted FULL, found USR",
            "dna.security.private_tmp: wanted true, found that /tmp is the host's",
            "dna.security.system_call_filter: wanted a filter, found none",
            "dna.security.restrict_address_families: wanted a filter, found none",
            "dna.resources.cpu_weight: wanted 7, found no limit",
            "dna.resources.memory_high_bytes: wanted 4096, found no limit"});
  facts.protect_system = v1::Security::STRICT;  // More than that is no difference.
  facts.private_tmp = facts.filters_system_calls = true;
  facts.limits = {{"cpu_weight", 7}, {"memory_high_bytes", 4096}};
  CHECK(Differences(dna, facts).empty());
}

TEST_CASE("all differences are told, in the order of the DNA") {
  const CompiledDna dna = FullDna();
  Facts facts = MatchingFacts(dna);
  facts.os_id = "alpine";
  facts.connections.clear();
  const auto differences = Differences(dna, facts);
  REQUIRE(differences.size() == 2);
  CHECK(differences[0].starts_with("dna.operating_system.id"));
  CHECK(differences[1].starts_with("dna.network.connections"));
}

TEST_CASE("an instance without user must run as the daemon's own") {
  Facts facts = MatchingFacts(TestDna());
  facts.uid = 0;
  CHECK(Differences(TestDna(), facts) ==
        std::vector<std::string>{
            "dna.security.user: wanted the daemon's own user (uid 1000), found uid 0"});
}

TEST_CASE("the host's text is shortened and made printable") {
  const CompiledDna dna = FullDna();
  Facts facts = MatchingFacts(dna);
  facts.software_output["python"] = "\x01\xff" + std::string(1000, 'x');
  const auto differences = Differences(dna, facts);
  REQUIRE(differences.size() == 1);
  CHECK(differences[0].find("found ??xxx") != std::string::npos);
  CHECK(differences[0].size() < 250);
}

TEST_CASE("a version must be a word of its own") {
  struct Row {
    const char* output;
    const char* version;
    bool found;
  };
  const std::vector<Row> rows = {
      {"Python 3.11.2\n", "3.11.2", true},
      {"nginx version: nginx/1.22.1", "1.22.1", true},
      {"nginx-1.22.1", "1.22.1", true},
      {"it is 3.11.", "3.11", true},
      {"(3.11)", "3.11", true},
      {"3.11.2 and 3.11", "3.11", true},
      {"OpenSSL 3.0.11 19 Sep 2023", "3.0.11", true},
      {"Python 3.11.2", "3.11", false},
      {"13.11", "3.11", false},
      {"1.3.11", "3.11", false},
      {"3.110", "3.11", false},
      {"3.11-rc1", "3.11", false},
      {"3.11~beta", "3.11", false},
      {"v3.11", "3.11", false},
      {"", "3.11", false},
  };
  for (const Row& row : rows) {
    INFO(row.output << " / " << row.version);
    CHECK(HasWholeWord(row.output, row.version) == row.found);
  }
}

TEST_CASE("a remote end is written with its port") {
  CHECK(RemoteEnd("10.0.0.1", 5432) == "10.0.0.1:5432");
  CHECK(RemoteEnd("::1", 80) == "[::1]:80");
}

}  // namespace
}  // namespace shadow
