// What the policy of shadowd-units grants and what it refuses, side by side.
#include "server/units/policy/policy.h"

#include <catch2/catch.hpp>
#include <string>

#include "server/core/error.h"
#include "tests/server/units/gate/gate_world.h"

namespace shadow {
namespace {

v1::UnitsPolicy Granting(const std::string& more = "") {
  const auto policy =
      CompileUnitsPolicy(FromText<v1::UnitsPolicy>(std::string(kGatePolicy) + "\n" + more));
  REQUIRE(policy.ok());
  return *policy;
}

// kGateDna with the fields of `text` merged into it.
UnitSpec SpecWith(const std::string& text) {
  UnitSpec unit = GateSpec();
  unit.dna.MergeFrom(FromText<v1::Dna>(text));
  return unit;
}

UnitSpec WithUser(const std::string& security) {
  UnitSpec unit = GateSpec();
  *unit.dna.mutable_security() = FromText<v1::Security>(security);
  return unit;
}

const std::string kSha(64, 'a');

std::string DataSet(const std::string& fields) {
  return "data_sets { name: \"d\" sha256: \"" + kSha + "\" " + fields + " }";
}

TEST_CASE("the policy grants what it lists") {
  const std::string granted[] = {
      "",
      DataSet(R"(source: "/srv/data" read_only: true)"),
      DataSet(R"(source: "/srv/data/models/v1" read_only: true mount_path: "/mnt/data/m")"),
      DataSet(R"(source: "/srv/scratch/one")"),
      R"(operating_system { root_directory: "/srv/roots/debian" })",
      "operating_system { image: \"/srv/images/a.raw\" image_digest: \"sha256:" + kSha +
          "\" root_hash: \"" + kSha + "\" }",
      R"(security { capabilities: "CAP_NET_BIND_SERVICE" })",
      R"(security { secrets { environment_variable: "TOKEN"
                              source_file: "/etc/shadowd/credentials/token" } })",
      R"(process { environment { key: "OLD_MODE" value: "%n $HOME \"x\"" } })"};
  for (const std::string& text : granted) {
    INFO(text);
    CHECK(CheckPolicy(Granting(), SpecWith(text), kGateDaemon) == absl::OkStatus());
  }
  const std::string users[] = {R"(user: "www-data" no_new_privileges: true)",
                               R"(user: "33" no_new_privileges: true)"};
  for (const std::string& security : users) {
    INFO(security);
    CHECK(CheckPolicy(Granting(), WithUser(security), kGateDaemon) == absl::OkStatus());
  }
  const UnitSpec set_uid = WithUser(R"(user: "www-data")");
  CHECK(CheckPolicy(Granting("new_privileges: true"), set_uid, kGateDaemon).ok());
  const UnitSpec root = WithUser(R"(user: "root" no_new_privileges: true)");
  CHECK(CheckPolicy(Granting(R"(users: "root")"), root, kGateDaemon).ok());
}

struct Refused {
  std::string text;   // Merged into the DNA.
  std::string field;  // That is named.
};

void CheckRefused(const UnitSpec& unit, const std::string& field) {
  const absl::Status status = CheckPolicy(Granting(), unit, kGateDaemon);
  INFO(unit.dna.ShortDebugString() << "\n" << status);
  CHECK_FALSE(status.ok());
  CHECK(ErrorField(status) == field);
}

TEST_CASE("the policy refuses paths that it does not list, by the name of the field") {
  const char source[] = "dna.data_sets[0].source";
  const char place[] = "dna.data_sets[0].mount_path";
  const char root[] = "dna.operating_system.root_directory";
  const Refused refused[] = {
      {DataSet(R"(source: "/etc" read_only: true)"), source},
      {DataSet(R"(source: "/srv/database" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/../../etc" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/./x" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/" read_only: true)"), source},
      {DataSet(R"(source: "//srv/data" read_only: true)"), source},
      {DataSet(R"(source: "srv/data" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/a:/etc" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/a b" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/%H" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/\\x2e" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data/\"" read_only: true)"), source},
      {DataSet(R"(source: "-/srv/data" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data")"), source},  // To be written.
      {DataSet(R"(source: "/srv/scratch" read_only: true)"), source},
      {DataSet(R"(source: "/srv/data" read_only: true mount_path: "/etc/cron.d/x")"), place},
      {DataSet(R"(source: "/srv/data" read_only: true mount_path: "/mnt/data/../x")"), place},
      {DataSet(R"(source: "/srv/data" read_only: true mount_path: "/mnt/data/a:b")"), place},
      {DataSet(R"(source: "/srv/data" read_only: true mount_path: "/proc/sys")"), place},
      {R"(operating_system { root_directory: "/" })", root},
      {R"(operating_system { root_directory: "/srv/rootsx" })", root},
      {R"(operating_system { root_directory: "/srv/roots/../../" })", root},
      {"operating_system { image: \"/dev/sda\" image_digest: \"sha256:" + kSha + "\" }",
       "dna.operating_system.image"},
      {"operating_system { image: \"docker.io/x\" image_digest: \"sha256:" + kSha + "\" }",
       "dna.operating_system.image"},
      {R"(security { secrets { environment_variable: "T" source_file: "/etc/shadow" } })",
       "dna.security.secrets[0].source_file"},
      {R"(security { read_only_paths: "/a:/b" })", "dna.security.read_only_paths[0]"},
      {R"(process { working_directory: "~" })", "dna.process.working_directory"}};
  for (const Refused& row : refused) CheckRefused(SpecWith(row.text), row.field);
}

TEST_CASE("the policy refuses privileges that it does not list, by the name of the field") {
  const char user[] = "dna.security.user";
  const Refused refused[] = {
      {R"()", user},
      {R"(user: "root" no_new_privileges: true)", user},
      {R"(user: "0" no_new_privileges: true)", user},
      {R"(user: "00" no_new_privileges: true)", user},
      {R"(user: "033" no_new_privileges: true)", user},
      {R"(user: "WWW-DATA" no_new_privileges: true)", user},
      {R"(user: "www-data " no_new_privileges: true)", user},
      {R"(user: "shadowd" no_new_privileges: true)", user},
      {R"(user: "990" no_new_privileges: true)", user},
      {R"(user: "www-data")", "dna.security.no_new_privileges"},
      {R"(dynamic_user: true capabilities: "CAP_SYS_ADMIN")", "dna.security.capabilities[0]"},
      {R"(dynamic_user: true capabilities: "CAP_NET_BIND_SERVICE" capabilities: "~")",
       "dna.security.capabilities[1]"},
      {R"(dynamic_user: true capabilities: "cap_net_bind_service")",
       "dna.security.capabilities[0]"}};
  for (const Refused& row : refused) CheckRefused(WithUser(row.text), row.field);
  // Of the daemon's own user, whatever is listed.
  const auto all = Granting(R"(users: "shadowd" users: "990")");
  for (const char* own : {"shadowd", "990"}) {
    const UnitSpec unit = WithUser(std::string("no_new_privileges: true user: \"") + own + "\"");
    CHECK(ErrorField(CheckPolicy(all, unit, kGateDaemon)) == user);
  }
}

TEST_CASE("the policy refuses commands, variables and limits by the name of the field") {
  const char environment[] = "dna.process.environment";
  const Refused refused[] = {
      {R"(process { environment { key: "LD_PRELOAD" value: "/x.so" } })", environment},
      {R"(process { environment { key: "LD_AUDIT" value: "/x.so" } })", environment},
      {R"(process { environment { key: "GLIBC_TUNABLES" value: "x" } })", environment},
      {R"(process { environment { key: "NOTIFY_SOCKET" value: "/x" } })", environment},
      {R"(process { environment { key: "CREDENTIALS_DIRECTORY" value: "/x" } })", environment},
      {R"(process { environment { key: "A=B" value: "x" } })", environment},
      {R"(process { environment { key: "A\nLD_PRELOAD" value: "x" } })", environment},
      {R"(process { environment { key: "PORT" value: "1" } })", environment},
      {R"(process { environment { key: "A" value: "x\nUser=root" } })",
       "dna.process.environment[\"A\"]"},
      {R"(security { system_call_filter: "~@mount" })", "dna.security.system_call_filter"},
      {R"(security { restrict_address_families: "~AF_INET" })",
       "dna.security.restrict_address_families"},
      {R"(resources { cpu_millis: 2001 })", "dna.resources.cpu_millis"},
      {R"(resources { memory_max_bytes: 1073741825 })", "dna.resources.memory_max_bytes"},
      {R"(resources { memory_max_bytes: -1 })", "dna.resources.memory_max_bytes"}};
  for (const Refused& row : refused) {
    INFO(row.text);
    const absl::Status status = CheckPolicy(Granting(), SpecWith(row.text), kGateDaemon);
    INFO(status);
    CHECK_FALSE(status.ok());
    CHECK(ErrorField(status).starts_with(row.field.substr(0, row.field.find('['))));
  }
  CheckRefused(SpecWith(R"(security { secrets { environment_variable: "LD_PRELOAD"
                   source_file: "/etc/shadowd/credentials/x" } })"),
               "dna.security.secrets[0].environment_variable");
  for (const char* program : {"sleep", "+/usr/bin/id", "!/usr/bin/id", "/usr/../bin/id", "@/bin/id",
                              "/usr/bin/id;x", "/usr/bin/$X", ""}) {
    UnitSpec unit = GateSpec();
    unit.dna.mutable_process()->set_argv(0, program);
    INFO(program);
    CHECK(ErrorField(CheckPolicy(Granting(), unit, kGateDaemon)).starts_with("dna.process.argv"));
  }
  // Of a unit that is resumed, where the rest of the DNA does not count.
  v1::Dna resumed = GateSpec().dna;
  resumed.mutable_resources()->set_cpu_millis(-1);
  CHECK(ErrorField(CheckPolicyLimits(Granting(), resumed)) == "dna.resources.cpu_millis");
  CHECK(CheckPolicyLimits(Granting(), GateSpec().dna).ok());
  UnitSpec unlimited = GateSpec();
  unlimited.dna.mutable_resources()->clear_memory_max_bytes();
  CheckRefused(unlimited, "dna.resources.memory_max_bytes");
}

TEST_CASE("a unit of another form is refused whatever the policy grants") {
  const auto refused = [](const char* field, auto change) {
    UnitSpec unit = GateSpec();
    change(unit);
    CheckRefused(unit, field);
  };
  for (const char* id : {"", "../x", "a/b", "a-b", "A", "a.service", "a\\x2d", "a@b", "a b", "i1\n",
                         "i12345678901234567890123456789012"}) {
    refused("id", [&](UnitSpec& unit) { unit.id = id; });
  }
  for (const char* pool :
       {"", "../x", "a/b", "Web", "-", "a.slice", "a\\x2d", "we b", "system\n"}) {
    refused("pool", [&](UnitSpec& unit) { unit.pool = pool; });
  }
  for (const char* store : {"", "*", "a/b", "a b", "..", "store=x"}) {
    refused("store", [&](UnitSpec& unit) { unit.store_id = store; });
  }
  refused("shadow", [](UnitSpec& unit) { unit.shadow = "x port=1"; });
  refused("epoch", [](UnitSpec& unit) { unit.epoch = "e store=other"; });
  refused("revision_name", [](UnitSpec& unit) { unit.revision_name = "web"; });
  refused("port", [](UnitSpec& unit) { unit.port = 65536; });
  refused("port", [](UnitSpec& unit) { unit.port = -1; });
  refused("log_path", [](UnitSpec& unit) { unit.log_path = "/etc/passwd"; });
}

TEST_CASE("a policy may name the pools, and lets no other start") {
  const auto policy = Granting(R"(pools: "shop")");
  CHECK(ErrorField(CheckPolicy(policy, GateSpec(), kGateDaemon)) == "pool");
  UnitSpec shop = GateSpec();
  shop.pool = "shop";
  CHECK(CheckPolicy(policy, shop, kGateDaemon).ok());
}

TEST_CASE("an empty policy grants a dynamic user and nothing else") {
  const auto policy = CompileUnitsPolicy({});
  REQUIRE(policy.ok());
  CHECK(policy->slice() == "shadow.slice");
  CHECK(CheckPolicy(*policy, GateSpec(), kGateDaemon).ok());
  for (const auto& [text, field] :
       {std::pair{DataSet(R"(source: "/srv" read_only: true)"), "dna.data_sets[0].source"},
        std::pair{std::string(R"(security { capabilities: "CAP_CHOWN" })"),
                  "dna.security.capabilities[0]"},
        std::pair{std::string(R"(operating_system { root_directory: "/srv" })"),
                  "dna.operating_system.root_directory"}}) {
    CHECK(ErrorField(CheckPolicy(*policy, SpecWith(text), kGateDaemon)) == field);
  }
}

TEST_CASE("a policy that cannot be meant is refused") {
  const std::pair<const char*, const char*> refused[] = {
      {R"(slice: "system")", "slice"},
      {R"(slice: "../x.slice")", "slice"},
      {R"(slice: "-.slice")", "slice"},
      {R"(slice: "a--b.slice")", "slice"},
      {R"(pools: "Web")", "pools[0]"},
      {R"(users: "")", "users[0]"},
      {R"(users: "a b")", "users[0]"},
      {R"(capabilities: "CAP_")", "capabilities[0]"},
      {R"(capabilities: "net_raw")", "capabilities[0]"},
      {R"(read_only_sources: "srv")", "read_only_sources[0]"},
      {R"(read_only_sources: "/srv/")", "read_only_sources[0]"},
      {R"(mount_points: "/a/../b")", "mount_points[0]"},
      {R"(units_max: 0)", "units_max"},
      {R"(memory_bytes_max: -1)", "memory_bytes_max"}};
  for (const auto& [text, field] : refused) {
    const auto policy = CompileUnitsPolicy(FromText<v1::UnitsPolicy>(text));
    INFO(text << " " << policy.status());
    CHECK(ErrorField(policy.status()) == field);
  }
}

}  // namespace
}  // namespace shadow
