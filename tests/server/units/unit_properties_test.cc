// Each row of the table of unit_properties.h, for both ways, and what each way refuses.
#include "server/units/unit_properties.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "server/units/unit_failure.h"
#include "server/units/unit_name.h"

namespace shadow {
namespace {

using Value = UnitProperty::Value;
using Strings = std::vector<std::string>;

v1::Dna DnaWith(const std::string& fields) {
  v1::Dna dna;
  REQUIRE(google::protobuf::TextFormat::MergeFromString(
      "process { argv: '/usr/bin/worker' argv: '--port=$(PORT)' } " + fields, &dna));
  return dna;
}

UnitSpec SpecWith(const std::string& fields) {
  UnitSpec spec;
  spec.id = "i7";
  spec.pool = "web-1";
  spec.shadow = "peak";
  spec.store_id = "store";
  spec.epoch = "store/1";
  spec.revision_name = "dnas/web@0123456789ab";
  spec.dna = DnaWith(fields);
  spec.port = 20007;
  return spec;
}

// The value of a property; unset: there is none.
std::optional<Value> Of(const UnitSpec& spec, UnitWay way, const std::string& name) {
  std::optional<Value> found;
  for (const UnitProperty& property : UnitProperties(
           spec, {.way = way, .slice = "shadow.slice", .environment_file = "/run/i7.env"})) {
    if (property.name != name) continue;
    CHECK_FALSE(found.has_value());  // None is there twice.
    found = property.value;
  }
  return found;
}

TEST_CASE("each field of a DNA is a property of its unit, in both ways") {
  constexpr uint64_t kInfinity = UINT64_MAX;
  struct Row {
    std::string fields;
    std::string property;
    Value value;
  };
  const std::vector<Row> rows = {
      {"", "Slice", std::string("shadow-web\\x2d1.slice")},
      {"", "Type", std::string("exec")},
      {"", "RemainAfterExit", true},
      {"", "ExecStartEx", UnitCommand{{"/usr/bin/worker", "--port=20007"}}},
      {"", "WorkingDirectory", std::string("/")},
      {"process { working_directory: '/srv' }", "WorkingDirectory", std::string("/srv")},
      {"process { environment { key: 'A' value: '$(PORT) b' } }", "Environment",
       Strings{"A=20007 b", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "PORT=20007", "SHADOWD_INSTANCE=i7", "SHADOWD_POOL=web-1", "SHADOWD_SHADOW=peak",
               "SHADOWD_STORE=store"}},
      {"", "KillSignal", int32_t{SIGTERM}},
      {"process { stop_signal: 'SIGINT' }", "KillSignal", int32_t{SIGINT}},
      {"", "TimeoutStopUSec", uint64_t{10'000'000}},
      {"process { stop_timeout { seconds: 1 nanos: 500000000 } }", "TimeoutStopUSec",
       uint64_t{1'500'000}},
      {"", "TimeoutStartUSec", uint64_t{60'000'000}},
      {"process { start_timeout { seconds: 3 } }", "TimeoutStartUSec", uint64_t{3'000'000}},
      {"data_sets { name: 'd' source: '/srv/d' mount_path: '/data' read_only: true }",
       "BindReadOnlyPaths", std::vector<UnitBind>{{.source = "/srv/d", .target = "/data"}}},
      {"data_sets { name: 'd' source: '/srv/d' mount_path: '/data' read_only: true }",
       "ReadOnlyPaths", Strings{"/srv/d"}},
      {"data_sets { name: 'd' source: '/srv/d' }", "BindPaths",
       std::vector<UnitBind>{{.source = "/srv/d", .target = "/srv/d"}}},
      {"security { read_only_paths: '/opt' }", "ReadOnlyPaths", Strings{"/opt"}},
      {"security { no_new_privileges: true }", "NoNewPrivileges", true},
      {"security { protect_system: USR }", "ProtectSystem", std::string("yes")},
      {"security { protect_system: FULL }", "ProtectSystem", std::string("full")},
      {"security { protect_system: STRICT }", "ProtectSystem", std::string("strict")},
      {"security { private_tmp: true }", "PrivateTmp", true},
      {"security { system_call_filter: '@system-service' system_call_filter: 'mount' }",
       "SystemCallFilter", UnitAllowed{{"@system-service", "mount"}}},
      {"security { restrict_address_families: 'AF_INET' }", "RestrictAddressFamilies",
       UnitAllowed{{"AF_INET"}}},
      {"security { secrets { environment_variable: 'TOKEN' source_file: '/etc/token' } }",
       "LoadCredential", std::vector<UnitCredential>{{.name = "TOKEN", .path = "/etc/token"}}},
      {"security { secrets { environment_variable: 'TOKEN' source_file: '/etc/token' } }",
       "EnvironmentFiles", UnitEnvironmentFile{"/run/i7.env"}},
      {"", "CPUQuotaPerSecUSec", kInfinity},
      {"resources { cpu_millis: 1500 }", "CPUQuotaPerSecUSec", uint64_t{1'500'000}},
      {"", "CPUWeight", uint64_t{100}},
      {"resources { cpu_weight: 20 }", "CPUWeight", uint64_t{20}},
      {"resources { memory_high_bytes: 5000000000 }", "MemoryHigh", uint64_t{5'000'000'000}},
      {"resources { memory_max_bytes: 6000000000 }", "MemoryMax", uint64_t{6'000'000'000}},
      {"resources { tasks_max: 12 }", "TasksMax", uint64_t{12}},
      {"resources { open_files_max: 64 }", "LimitNOFILE", uint64_t{64}},
      {"", "StandardOutput", std::string("journal")},
  };
  for (const Row& row : rows) {
    INFO(row.fields << " -> " << row.property);
    const UnitSpec spec = SpecWith(row.fields);
    CHECK(Of(spec, UnitWay::kUser, row.property) == row.value);
    CHECK(Of(spec, UnitWay::kSystem, row.property) == row.value);
  }
}

TEST_CASE("a system that is protected strictly has no writable homes") {
  for (const UnitWay way : {UnitWay::kUser, UnitWay::kSystem}) {
    CHECK(Of(SpecWith("security { protect_system: STRICT }"), way, "ProtectHome") ==
          Value(std::string("read-only")));
    CHECK_FALSE(Of(SpecWith("security { protect_system: FULL }"), way, "ProtectHome"));
  }
}

TEST_CASE("what needs root is a property in the system's way alone") {
  constexpr uint64_t kBind = uint64_t{1} << 10;  // CAP_NET_BIND_SERVICE
  const std::string image =
      "operating_system { image: '/srv/i.raw' root_hash: "
      "'00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff' }";
  std::string hash;
  for (int i = 0; i < 16; ++i) hash += std::string("\0\xFF", 2);
  struct Row {
    std::string fields;
    std::string property;
    Value value;
  };
  const std::vector<Row> rows = {
      {"operating_system { root_directory: '/srv/root' }", "RootDirectory",
       std::string("/srv/root")},
      {image, "RootImage", std::string("/srv/i.raw")},
      {image, "RootHash", UnitBytes{hash}},
      {"security { user: 'www-data' }", "User", std::string("www-data")},
      {"security { dynamic_user: true }", "DynamicUser", true},
      {"security { dynamic_user: true }", "CapabilityBoundingSet", uint64_t{0}},
      {"security { capabilities: 'CAP_NET_BIND_SERVICE' }", "CapabilityBoundingSet", kBind},
      {"security { capabilities: 'CAP_NET_BIND_SERVICE' }", "AmbientCapabilities", kBind},
      {"operating_system { root_directory: '/srv/root' } security { read_only_paths: '/opt' }",
       "ReadOnlyPaths", Strings{"+/opt"}},
  };
  for (const Row& row : rows) {
    INFO(row.fields << " -> " << row.property);
    CHECK(Of(SpecWith(row.fields), UnitWay::kSystem, row.property) == row.value);
  }
  for (const char* name : {"User", "DynamicUser", "CapabilityBoundingSet", "RootDirectory"}) {
    CHECK_FALSE(Of(SpecWith(""), UnitWay::kUser, name).has_value());
  }
}

TEST_CASE("the user's way takes a user namespace for a view of its own, and no new privileges") {
  const auto both = [](const char* fields, const char* name) {
    return std::pair(Of(SpecWith(fields), UnitWay::kUser, name).has_value(),
                     Of(SpecWith(fields), UnitWay::kSystem, name).has_value());
  };
  using Pair = std::pair<bool, bool>;
  CHECK(both("", "PrivateUsers") == Pair(false, false));
  CHECK(both("security { private_tmp: true }", "PrivateUsers") == Pair(true, false));
  CHECK(both("security { protect_system: FULL }", "PrivateUsers") == Pair(true, false));
  CHECK(both("security { read_only_paths: '/opt' }", "PrivateUsers") == Pair(true, false));
  CHECK(both("data_sets { name: 'd' source: '/d' }", "PrivateUsers") == Pair(true, false));
  CHECK(both("", "NoNewPrivileges") == Pair(false, false));
  CHECK(both("security { system_call_filter: 'read' }", "NoNewPrivileges") == Pair(true, false));
  CHECK(both("security { restrict_address_families: 'AF_INET' }", "NoNewPrivileges") ==
        Pair(true, false));
}

TEST_CASE("a log is appended to by both streams, or is the journal's, with whose it is") {
  UnitSpec spec = SpecWith("");
  CHECK(Of(spec, UnitWay::kSystem, "LogExtraFields") ==
        Value(std::vector<UnitBytes>{{"SHADOW_POOL=web-1"}, {"SHADOW_INSTANCE=i7"}}));
  spec.log_path = "/srv/i7.log";
  CHECK(Of(spec, UnitWay::kUser, "StandardOutputFileToAppend") == Value(spec.log_path));
  CHECK(Of(spec, UnitWay::kUser, "StandardErrorFileToAppend") == Value(spec.log_path));
  CHECK_FALSE(Of(spec, UnitWay::kUser, "StandardOutput").has_value());
  CHECK_FALSE(Of(spec, UnitWay::kUser, "LogExtraFields").has_value());
}

TEST_CASE("a DNA that a service manager cannot be held to is refused by its field, for each way") {
  struct Row {
    std::string fields;
    std::string user_refuses;  // Empty: it is accepted.
    std::string system_refuses;
  };
  const std::string user = "security { dynamic_user: true } ";
  const std::vector<Row> rows = {
      {"", "", "dna.security.user"},
      {user, "dna.security.dynamic_user", ""},
      {"security { user: 'www-data' }", "dna.security.user", ""},
      {user + "operating_system { root_directory: '/srv/root' }",
       "dna.operating_system.root_directory", ""},
      {"operating_system { root_directory: '/' }", "", "dna.security.user"},
      {user + "operating_system { image: '/srv/i.raw' root_hash: 'aa' }",
       "dna.operating_system.image", ""},
      {user + "operating_system { image: '/srv/i.raw' image_digest: 'sha256:aa' }",
       "dna.operating_system.image", "dna.operating_system.image_digest"},
      {user + "operating_system { image: 'debian:12' }", "dna.operating_system.image",
       "dna.operating_system.image"},
      {user + "operating_system { root_hash: 'aa' }", "dna.operating_system.root_hash", ""},
      {"security { user: 'x' capabilities: 'CAP_KILL' }", "dna.security.user", ""},
      {"security { capabilities: 'CAP_KILL' }", "dna.security.capabilities", "dna.security.user"},
      {user + "security { capabilities: 'CAP_NONE' }", "dna.security.capabilities[0]",
       "dna.security.capabilities[0]"},
      {user + "security { system_call_filter: '~mount' }", "dna.security.system_call_filter",
       "dna.security.system_call_filter"},
      {user + "security { restrict_address_families: 'INET' }",
       "dna.security.restrict_address_families", "dna.security.restrict_address_families"},
      {user + "process { stop_signal: 'TERM' }", "dna.process.stop_signal",
       "dna.process.stop_signal"},
      {user + "network { connections { host: '127.0.0.1' port: 1 } }", "dna.security.dynamic_user",
       "dna.network.connections"},
      {user + "operating_system { root_directory: '/srv/root' id: 'debian' }",
       "dna.operating_system.root_directory", "dna.operating_system.id"},
      {user + "operating_system { root_directory: '/srv/root' version_id: '12' }",
       "dna.operating_system.root_directory", "dna.operating_system.version_id"},
      {user + "operating_system { root_directory: '/srv/root' } software { name: 'x' }",
       "dna.operating_system.root_directory", "dna.software"},
      {user + "operating_system { id: 'debian' } software { name: 'x' }",
       "dna.security.dynamic_user", ""},
      {"data_sets { name: 'd' source: '/d' mount_path: '/' }", "dna.data_sets[d].mount_path",
       "dna.data_sets[d].mount_path"},
      {"security { private_tmp: true protect_system: STRICT system_call_filter: '@basic-io' "
       "restrict_address_families: 'AF_INET6' } resources { cpu_millis: 1 cpu_weight: 1 "
       "memory_high_bytes: 1 memory_max_bytes: 1 tasks_max: 1 open_files_max: 1 }",
       "", "dna.security.user"},
  };
  for (const Row& row : rows) {
    INFO(row.fields);
    CHECK(ErrorField(CheckUnitDna(DnaWith(row.fields), UnitWay::kUser)) == row.user_refuses);
    CHECK(ErrorField(CheckUnitDna(DnaWith(row.fields), UnitWay::kSystem)) == row.system_refuses);
  }
}

TEST_CASE("limits of CPU are raised to the DNA's, or lowered to the least") {
  const auto running = RunningLimits(DnaWith("resources { cpu_millis: 500 cpu_weight: 7 }"));
  CHECK(running ==
        std::vector<UnitProperty>{{.name = "CPUQuotaPerSecUSec", .value = uint64_t{500'000}},
                                  {.name = "CPUWeight", .value = uint64_t{7}}});
  CHECK(SuspendedLimits() ==
        std::vector<UnitProperty>{{.name = "CPUQuotaPerSecUSec", .value = uint64_t{10'000}},
                                  {.name = "CPUWeight", .value = uint64_t{1}}});
}

TEST_CASE("a unit's name and description say whose it is") {
  const std::string prefix = UnitPrefix("store", "shadow.slice");
  CHECK(prefix.size() == std::string("shadow-01234567-").size());
  CHECK(prefix != UnitPrefix("store", "other.slice"));
  CHECK(prefix != UnitPrefix("other", "shadow.slice"));
  CHECK(UnitId(prefix, UnitName(prefix, "i7")) == "i7");
  for (const std::string& name : {std::string("shadow-i7.service"), prefix + "i7.slice",
                                  prefix + "../i7.service", prefix + ".service"}) {
    CHECK(UnitId(prefix, name).empty());
  }
  const UnitSpec spec = SpecWith("");
  const std::string text = UnitDescription(spec);
  CHECK(text ==
        "Instance i7 of shadowd: pool=web-1 shadow=peak dna=dnas/web@0123456789ab port=20007 "
        "epoch=store/1 store=store");
  const auto view = ParseUnitDescription(text, "i7", "store");
  REQUIRE(view.has_value());
  CHECK(view->pool == spec.pool);
  CHECK(view->shadow == spec.shadow);
  CHECK(view->revision_name == spec.revision_name);
  CHECK(view->epoch == spec.epoch);
  CHECK(view->port == spec.port);
  CHECK_FALSE(ParseUnitDescription(text, "i8", "store").has_value());
  CHECK_FALSE(ParseUnitDescription(text, "i7", "other").has_value());
  CHECK_FALSE(ParseUnitDescription("Instance i7 of shadowd: store=store", "i7", "store"));
}

TEST_CASE("a unit that was never executed names the field, and any other how it ended") {
  UnitView unit;
  unit.active_state = "failed";
  unit.result = "exit-code";
  unit.exec_main_code = 1;
  const auto field = [&](int status, const std::string& fields) {
    unit.exec_main_status = status;
    return ErrorField(StartFailure(unit, DnaWith(fields)));
  };
  CHECK(field(203, "") == "dna.process.argv");
  CHECK(field(200, "") == "dna.process.working_directory");
  CHECK(field(243, "") == "dna.security.secrets");
  CHECK(field(226, "data_sets { name: 'd' source: '/d' }") == "dna.data_sets");
  CHECK(field(226, "security { private_tmp: true }") == "dna.security.private_tmp");
  CHECK(field(245, "") == "dna.process");
  CHECK(field(3, "").empty());
  CHECK(EndReason(unit) == "exit status 3");
  unit.exec_main_code = 2;
  unit.exec_main_status = SIGKILL;
  CHECK(StartFailure(unit, v1::Dna()).ok());
  unit.result = "signal";
  CHECK(EndReason(unit) == "killed by SIGKILL");
  unit.result = "oom-kill";
  CHECK(EndReason(unit) == "out of memory, killed by SIGKILL");
  unit.result = "timeout";
  unit.exec_main_code = 0;
  CHECK(EndReason(unit) == "timeout");
}

}  // namespace
}  // namespace shadow
