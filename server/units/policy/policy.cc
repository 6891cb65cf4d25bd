#include "server/units/policy/policy.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/names.h"
#include "server/core/spec.h"
#include "server/core/spec/field_checker.h"
#include "server/core/text.h"
#include "server/units/policy/paths.h"
#include "server/units/unit_properties.h"

namespace shadow {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr char kDefaultSlice[] = "shadow.slice";
constexpr int kDefaultUnitsMax = 1000;
constexpr int kEntriesMax = 256;
constexpr size_t kIdMaxBytes = 32;
constexpr size_t kTagMaxBytes = 128;
constexpr size_t kSliceMaxBytes = 128;
constexpr FieldChecker::Limits kUnits = {.min = 1, .max = 100'000};
constexpr FieldChecker::Limits kLimit = {.min = 1, .max = int64_t{1} << 46};
constexpr FieldChecker::Limits kPorts = {.min = 0, .max = 65535};

// File systems of the kernel: what is there is no data, and systemd mounts others over them.
constexpr std::string_view kKernelFolders[] = {"/proc", "/sys", "/dev"};

// Of the dynamic linker, of libc and of systemd: they change which code runs, or whom it believes.
constexpr std::string_view kVariablePrefixes[] = {"LD_",     "GLIBC_",  "MALLOC_",
                                                  "LISTEN_", "NOTIFY_", "WATCHDOG_"};
constexpr std::string_view kVariables[] = {"GCONV_PATH", "LOCPATH", "NLSPATH",
                                           "CREDENTIALS_DIRECTORY", "INVOCATION_ID"};

std::string At(std::string_view list, int index, const char* field = "") {
  return absl::StrCat(Absl(list), "[", index, "]", field);
}

bool Contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsBelowAny(std::string_view path, const Names& folders) {
  return std::any_of(folders.begin(), folders.end(),
                     [&](const std::string& folder) { return IsBelow(path, folder); });
}

// Keeps the first refusal: what is asked for, and the field of the policy that does not grant it.
class Grants {
 public:
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }

  void Refuse(std::string_view field, std::string_view problem) {
    if (ok()) status_ = FieldError(field, problem, absl::StatusCode::kFailedPrecondition);
  }
  void Listed(std::string_view field, std::string_view name, std::string_view list,
              const Names& names) {
    if (!Contains(names, name)) {
      Refuse(field, absl::StrCat(Quoted(name), " is not among `", Absl(list),
                                 "` of the policy of shadowd-units"));
    }
  }
  void Below(std::string_view field, std::string_view path, std::string_view list,
             const Names& folders) {
    if (!IsBelowAny(path, folders)) {
      Refuse(field, absl::StrCat(Quoted(path), " is below none of `", Absl(list),
                                 "` of the policy of shadowd-units"));
    }
  }
  void AtMost(std::string_view field, bool given, int64_t asked, bool bounded, int64_t bound) {
    if (!bounded) return;
    if (!given) {
      Refuse(field,
             absl::StrCat("is unset; the policy of shadowd-units wants ", bound, " or less"));
    } else if (asked < 1 || asked > bound) {
      Refuse(field, absl::StrCat(asked, " is not in 1 to ", bound,
                                 ", which the policy of shadowd-units grants"));
    }
  }

 private:
  absl::Status status_;
};

// systemd writes transient units down as text and reads that again, where ":" and spaces part, and
// "%", quotes and backslashes mean something. No path that needs them gets there.
void CheckPlainPath(std::string_view field, const std::string& path, FieldChecker& check) {
  check.Path(field, path);
  if (!check.ok()) return;
  constexpr std::string_view kOthers = "/._-+@=,~";
  const bool plain = std::all_of(path.begin(), path.end(), [&](char c) {
    return IsAlnum(c) || kOthers.find(c) != std::string_view::npos;
  });
  if (!plain) check.Fail(field, absl::StrCat(Quoted(path), " is not [A-Za-z0-9/._+@=,~-]+"));
}

void CheckSourcePath(std::string_view field, const std::string& path, FieldChecker& check) {
  CheckPlainPath(field, path, check);
  for (const std::string_view folder : kKernelFolders) {
    if (IsBelow(path, folder)) {
      check.Fail(field, absl::StrCat(Quoted(path), " is a file of the kernel"));
    }
  }
}

void CheckFolders(std::string_view field, const Names& folders, FieldChecker& check) {
  check.Count(field, folders.size(), kEntriesMax);
  for (int i = 0; i < folders.size(); ++i) CheckPlainPath(At(field, i), folders[i], check);
}

bool IsCapability(std::string_view name) {
  return name.starts_with("CAP_") && name.size() > 4 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c == '_' || (IsAlpha(c) && !IsLower(c)); });
}

void CheckSlice(const std::string& slice, FieldChecker& check) {
  constexpr std::string_view kEnd = ".slice";
  const std::string_view name =
      slice.ends_with(kEnd) ? std::string_view(slice).substr(0, slice.size() - kEnd.size()) : "";
  const bool good = !name.empty() && slice.size() <= kSliceMaxBytes && name.front() != '-' &&
                    name.back() != '-' && name.find("--") == std::string_view::npos &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return IsAlnum(c) || c == '_' || c == '-'; });
  if (!good) check.Fail("slice", absl::StrCat(Quoted(slice), " is not like \"shadow.slice\""));
}

void CheckNames(const v1::UnitsPolicy& policy, FieldChecker& check) {
  check.Count("pools", policy.pools_size(), kEntriesMax);
  for (int i = 0; i < policy.pools_size(); ++i) {
    if (!IsId(policy.pools(i))) {
      check.Fail(At("pools", i), absl::StrCat(Quoted(policy.pools(i)), " is no name of a pool"));
    }
  }
  check.Count("users", policy.users_size(), kEntriesMax);
  for (int i = 0; i < policy.users_size(); ++i) {
    check.Foreign(At("users", i), policy.users(i));
  }
  check.Count("capabilities", policy.capabilities_size(), kEntriesMax);
  for (int i = 0; i < policy.capabilities_size(); ++i) {
    if (!IsCapability(policy.capabilities(i))) {
      check.Fail(At("capabilities", i),
                 absl::StrCat(Quoted(policy.capabilities(i)), " is not like CAP_NET_RAW"));
    }
  }
}

void CheckLimits(const v1::UnitsPolicy& policy, FieldChecker& check) {
  if (policy.has_cpu_millis_max()) check.Range("cpu_millis_max", policy.cpu_millis_max(), kLimit);
  if (policy.has_memory_bytes_max()) {
    check.Range("memory_bytes_max", policy.memory_bytes_max(), kLimit);
  }
  if (policy.has_tasks_max()) check.Range("tasks_max", policy.tasks_max(), kLimit);
  if (policy.has_open_files_max()) check.Range("open_files_max", policy.open_files_max(), kLimit);
  check.Range("units_max", policy.units_max(), kUnits);
}

// The form of what is no part of the DNA.
void CheckTags(const UnitSpec& unit, FieldChecker& check) {
  check.Add(CheckUnitStore(unit.store_id));
  check.Add(CheckUnitId(unit.id));
  if (!IsId(unit.pool)) check.Fail("pool", absl::StrCat(Quoted(unit.pool), " is no pool's name"));
  if (!unit.shadow.empty() && !IsId(unit.shadow)) {
    check.Fail("shadow", absl::StrCat(Quoted(unit.shadow), " is no shadow's name"));
  }
  if (unit.epoch.size() > kTagMaxBytes ||
      !std::all_of(unit.epoch.begin(), unit.epoch.end(),
                   [](char c) { return IsAlnum(c) || c == '-' || c == '/'; })) {
    check.Fail("epoch", absl::StrCat(Quoted(unit.epoch), " is not [A-Za-z0-9/-]*"));
  }
  check.Add(ParseDnaName(unit.revision_name, "revision_name").status());
  check.Range("port", unit.port, kPorts);
  if (!unit.log_path.empty()) {
    check.Fail("log_path", "is set; units of the system write to the journal");
  }
}

bool IsSystemVariable(const std::string& name) {
  return std::any_of(std::begin(kVariablePrefixes), std::end(kVariablePrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); }) ||
         std::find(std::begin(kVariables), std::end(kVariables), name) != std::end(kVariables);
}

void CheckEnvironment(const v1::Dna& dna, FieldChecker& check) {
  const auto variable = [&check](std::string_view field, const std::string& name) {
    if (!IsSystemVariable(name)) return;
    check.Fail(field, absl::StrCat(Quoted(name), " is a variable of the system's own"));
  };
  std::set<std::string> names;  // Sorted, so that one input has one error.
  for (const auto& [name, ignored] : dna.process().environment()) names.insert(name);
  for (const std::string& name : names) variable("dna.process.environment", name);
  const auto& secrets = dna.security().secrets();
  for (int i = 0; i < secrets.size(); ++i) {
    variable(At("dna.security.secrets", i, ".environment_variable"),
             secrets[i].environment_variable());
  }
}

void CheckDnaPaths(const v1::Dna& dna, FieldChecker& check) {
  const auto& os = dna.operating_system();
  if (!os.root_directory().empty()) {
    CheckSourcePath("dna.operating_system.root_directory", os.root_directory(), check);
  }
  if (!os.image().empty()) CheckSourcePath("dna.operating_system.image", os.image(), check);
  for (int i = 0; i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    CheckSourcePath(At("dna.data_sets", i, ".source"), data.source(), check);
    if (!data.mount_path().empty()) {
      CheckSourcePath(At("dna.data_sets", i, ".mount_path"), data.mount_path(), check);
    }
  }
  const v1::Security& security = dna.security();
  for (int i = 0; i < security.read_only_paths_size(); ++i) {
    CheckPlainPath(At("dna.security.read_only_paths", i), security.read_only_paths(i), check);
  }
  for (int i = 0; i < security.secrets_size(); ++i) {
    CheckSourcePath(At("dna.security.secrets", i, ".source_file"),
                    security.secrets(i).source_file(), check);
  }
  if (dna.process().argv_size() > 0) {
    CheckPlainPath("dna.process.argv[0]", dna.process().argv(0), check);
  }
  if (!dna.process().working_directory().empty()) {
    CheckPlainPath("dna.process.working_directory", dna.process().working_directory(), check);
  }
}

void GrantUser(const v1::UnitsPolicy& policy, const v1::Security& security,
               const DaemonUser& daemon, Grants& grants) {
  constexpr char kField[] = "dna.security.user";
  const std::string& user = security.user();
  if (user.empty()) {
    if (!security.dynamic_user()) {
      grants.Refuse(kField, "is unset, and so is dynamic_user; a unit of the system needs one");
    }
    return;
  }
  if (user == daemon.name || user == absl::StrCat(daemon.uid)) {
    grants.Refuse(kField, absl::StrCat(Quoted(user), " is the daemon's own user"));
  }
  grants.Listed(kField, user, "users", policy.users());
  if (!security.no_new_privileges() && !policy.new_privileges()) {
    grants.Refuse("dna.security.no_new_privileges",
                  "is not set; the policy of shadowd-units has no `new_privileges`");
  }
}

void GrantPaths(const v1::UnitsPolicy& policy, const v1::Dna& dna, Grants& grants) {
  const auto& os = dna.operating_system();
  if (!os.root_directory().empty()) {
    grants.Below("dna.operating_system.root_directory", os.root_directory(), "root_directories",
                 policy.root_directories());
  }
  if (!os.image().empty()) {
    grants.Below("dna.operating_system.image", os.image(), "images", policy.images());
  }
  for (int i = 0; i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    grants.Below(At("dna.data_sets", i, ".source"), data.source(),
                 data.read_only() ? "read_only_sources" : "writable_sources",
                 data.read_only() ? policy.read_only_sources() : policy.writable_sources());
    if (!data.mount_path().empty() && data.mount_path() != data.source()) {
      grants.Below(At("dna.data_sets", i, ".mount_path"), data.mount_path(), "mount_points",
                   policy.mount_points());
    }
  }
  const auto& secrets = dna.security().secrets();
  for (int i = 0; i < secrets.size(); ++i) {
    grants.Below(At("dna.security.secrets", i, ".source_file"), secrets[i].source_file(),
                 "credential_sources", policy.credential_sources());
  }
}

}  // namespace

absl::StatusOr<v1::UnitsPolicy> CompileUnitsPolicy(const v1::UnitsPolicy& policy) {
  FieldChecker check;
  v1::UnitsPolicy compiled = policy;
  if (compiled.slice().empty()) compiled.set_slice(kDefaultSlice);
  if (!compiled.has_units_max()) compiled.set_units_max(kDefaultUnitsMax);
  check.WellFormed(compiled, "policy");
  CheckSlice(compiled.slice(), check);
  CheckNames(compiled, check);
  CheckFolders("root_directories", compiled.root_directories(), check);
  CheckFolders("images", compiled.images(), check);
  CheckFolders("read_only_sources", compiled.read_only_sources(), check);
  CheckFolders("writable_sources", compiled.writable_sources(), check);
  CheckFolders("credential_sources", compiled.credential_sources(), check);
  CheckFolders("mount_points", compiled.mount_points(), check);
  CheckLimits(compiled, check);
  if (!check.ok()) return check.status();
  return compiled;
}

absl::Status CheckUnitId(const std::string& id) {
  const bool good =
      !id.empty() && id.size() <= kIdMaxBytes &&
      std::all_of(id.begin(), id.end(), [](char c) { return IsLower(c) || IsDigit(c); });
  if (good) return absl::OkStatus();
  return FieldError("id", absl::StrCat(Quoted(id), " is not [a-z0-9]{1,", kIdMaxBytes, "}"));
}

absl::Status CheckUnitStore(const std::string& store) {
  const bool good = !store.empty() && store.size() <= kTagMaxBytes &&
                    std::all_of(store.begin(), store.end(),
                                [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
  if (good) return absl::OkStatus();
  return FieldError("store",
                    absl::StrCat(Quoted(store), " is not [a-z0-9-]{1,", kTagMaxBytes, "}"));
}

absl::Status CheckPolicyLimits(const v1::UnitsPolicy& policy, const v1::Dna& dna) {
  Grants grants;
  const v1::Resources& asked = dna.resources();
  grants.AtMost("dna.resources.cpu_millis", asked.has_cpu_millis(), asked.cpu_millis(),
                policy.has_cpu_millis_max(), policy.cpu_millis_max());
  grants.AtMost("dna.resources.memory_max_bytes", asked.has_memory_max_bytes(),
                asked.memory_max_bytes(), policy.has_memory_bytes_max(), policy.memory_bytes_max());
  grants.AtMost("dna.resources.tasks_max", asked.has_tasks_max(), asked.tasks_max(),
                policy.has_tasks_max(), policy.tasks_max());
  grants.AtMost("dna.resources.open_files_max", asked.has_open_files_max(), asked.open_files_max(),
                policy.has_open_files_max(), policy.open_files_max());
  return grants.status();
}

absl::Status CheckPolicy(const v1::UnitsPolicy& policy, const UnitSpec& unit,
                         const DaemonUser& daemon) {
  FieldChecker check;
  CheckTags(unit, check);
  if (check.ok()) check.Add(CompileDna(unit.dna).status());
  CheckEnvironment(unit.dna, check);
  CheckDnaPaths(unit.dna, check);
  if (check.ok()) check.Add(CheckUnitDna(unit.dna, UnitWay::kSystem));
  if (!check.ok()) return check.status();
  Grants grants;
  if (policy.pools_size() > 0) grants.Listed("pool", unit.pool, "pools", policy.pools());
  const v1::Security& security = unit.dna.security();
  GrantUser(policy, security, daemon, grants);
  for (int i = 0; i < security.capabilities_size(); ++i) {
    grants.Listed(At("dna.security.capabilities", i), security.capabilities(i), "capabilities",
                  policy.capabilities());
  }
  GrantPaths(policy, unit.dna, grants);
  if (!grants.ok()) return grants.status();
  return CheckPolicyLimits(policy, unit.dna);
}

}  // namespace shadow
