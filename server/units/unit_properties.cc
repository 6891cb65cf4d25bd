#include "server/units/unit_properties.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "server/core/error.h"
#include "server/core/text.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_dna.h"
#include "server/units/unit_name.h"

namespace shadow {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr uint64_t kNoLimit = UINT64_MAX;
constexpr uint64_t kDefaultCpuWeight = 100;
constexpr uint64_t kLeastCpuWeight = 1;
constexpr uint64_t kLeastCpuUsecPerSec = 10'000;
constexpr uint64_t kUsecPerMilli = 1000;

absl::Status Refuse(const std::string& field, const std::string& problem) {
  return FieldError(field, problem, absl::StatusCode::kFailedPrecondition);
}

bool HasRoot(const v1::Dna& dna) {
  const v1::OperatingSystem& os = dna.operating_system();
  return !os.image().empty() || (!os.root_directory().empty() && os.root_directory() != "/");
}

absl::Status CheckUserWay(const v1::Dna& dna) {
  const v1::OperatingSystem& os = dna.operating_system();
  const v1::Security& security = dna.security();
  constexpr char kNeedsRoot[] = "the user's service manager cannot do this; manager SYSTEM can";
  if (!os.image().empty()) return Refuse("dna.operating_system.image", kNeedsRoot);
  if (HasRoot(dna)) return Refuse("dna.operating_system.root_directory", kNeedsRoot);
  if (!os.root_hash().empty()) return Refuse("dna.operating_system.root_hash", kNeedsRoot);
  if (!security.user().empty()) return Refuse("dna.security.user", kNeedsRoot);
  if (security.dynamic_user()) return Refuse("dna.security.dynamic_user", kNeedsRoot);
  if (!security.capabilities().empty()) return Refuse("dna.security.capabilities", kNeedsRoot);
  return absl::OkStatus();
}

absl::Status CheckSystemWay(const v1::Dna& dna) {
  const v1::OperatingSystem& os = dna.operating_system();
  if (!os.image().empty() && os.image().front() != '/') {
    return Refuse("dna.operating_system.image",
                  "a unit's image is the absolute path of a file or block device");
  }
  if (!os.image().empty() && os.root_hash().empty()) {
    return Refuse("dna.operating_system.image_digest",
                  "the digest of an image is not compared with the file; set root_hash, by which "
                  "dm-verity verifies all that is read of it");
  }
  if (dna.security().user().empty() && !dna.security().dynamic_user()) {
    return Refuse("dna.security.user",
                  "the system's service manager would run it as root; name a user, or set "
                  "dynamic_user");
  }
  // Processes of other users are closed to the daemon, which has to verify them.
  if (!dna.network().connections().empty()) {
    return Refuse("dna.network.connections", "connections of other users' units cannot be seen");
  }
  if (!HasRoot(dna)) return absl::OkStatus();
  if (!os.id().empty() || !os.version_id().empty()) {
    return Refuse(os.id().empty() ? "dna.operating_system.version_id" : "dna.operating_system.id",
                  "what another root holds is not verified; an image by its root_hash is");
  }
  if (!dna.software().empty()) {
    return Refuse("dna.software", "commands are not run in another root to verify it");
  }
  return absl::OkStatus();
}

bool IsSystemCall(std::string_view name) {
  const bool group = name.starts_with('@');
  if (group) name.remove_prefix(1);
  return !name.empty() && std::all_of(name.begin(), name.end(), [group](char c) {
    return IsLower(c) || IsDigit(c) || c == (group ? '-' : '_');
  });
}

bool IsAddressFamily(std::string_view name) {
  constexpr std::string_view kFamily = "AF_";
  return name.starts_with(kFamily) && name.size() > kFamily.size() &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (IsAlnum(c) && !IsLower(c)) || c == '_'; });
}

absl::Status CheckFilters(const v1::Security& security) {
  for (const std::string& name : security.system_call_filter()) {
    if (IsSystemCall(name)) continue;
    return FieldError("dna.security.system_call_filter",
                      absl::StrCat("\"", absl::CHexEscape(name),
                                   "\" is neither a system call nor a group such as "
                                   "\"@system-service\""));
  }
  for (const std::string& name : security.restrict_address_families()) {
    if (IsAddressFamily(name)) continue;
    return FieldError("dna.security.restrict_address_families",
                      absl::StrCat("\"", absl::CHexEscape(name),
                                   "\" is not an address family such as \"AF_INET\""));
  }
  return absl::OkStatus();
}

// systemd's parts of such a path are separated by ":".
absl::Status CheckPaths(const v1::Dna& dna) {
  for (const v1::DataSet& set : dna.data_sets()) {
    const std::string& target = set.mount_path().empty() ? set.source() : set.mount_path();
    if (target == "/") {
      return Refuse(absl::StrCat("dna.data_sets[", set.name(), "].mount_path"),
                    "a data set cannot be the root");
    }
  }
  return absl::OkStatus();
}

std::string WithPort(const std::string& text, int port) {
  return absl::StrReplaceAll(text, {{"$(PORT)", absl::StrCat(port)}});
}

uint64_t Usec(const google::protobuf::Duration& duration) {
  constexpr int64_t kUsecPerSecond = 1'000'000;
  constexpr int64_t kNanosPerUsec = 1000;
  return static_cast<uint64_t>(duration.seconds() * kUsecPerSecond +
                               duration.nanos() / kNanosPerUsec);
}

std::string ProtectSystemWord(v1::Security::ProtectSystem protect) {
  switch (protect) {
    case v1::Security::USR:
      return "yes";
    case v1::Security::FULL:
      return "full";
    case v1::Security::STRICT:
      return "strict";
    case v1::Security::PROTECT_SYSTEM_UNSPECIFIED:
    case v1::Security_ProtectSystem_Security_ProtectSystem_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Security_ProtectSystem_Security_ProtectSystem_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "no";
}

class Properties {
 public:
  Properties(const UnitSpec& unit, const UnitPlace& place)
      : unit_(unit), dna_(unit.dna), place_(place) {}

  std::vector<UnitProperty> Run() {
    Add("Description", UnitDescription(unit_));
    Add("Slice", PoolSlice(place_.slice, unit_.pool));
    // Started once its program runs, and kept with its exit status when that has ended.
    Add("Type", std::string("exec"));
    Add("RemainAfterExit", true);
    Add("CollectMode", std::string("inactive"));
    AddProcess();
    AddEnvironment();
    AddRoot();
    AddFiles();
    AddSecurity();
    AddResources();
    AddLog();
    return std::move(properties_);
  }

 private:
  void Add(const char* name, UnitProperty::Value value) {
    properties_.push_back({.name = name, .value = std::move(value)});
  }
  static UnitProperty::Value Number(int64_t number) { return static_cast<uint64_t>(number); }

  void AddProcess() {
    const v1::Process& process = dna_.process();
    UnitCommand command;
    for (const std::string& argument : process.argv()) {
      command.argv.push_back(WithPort(argument, unit_.port));
    }
    Add("ExecStartEx", std::move(command));
    Add("WorkingDirectory",
        process.working_directory().empty() ? "/" : process.working_directory());
    const auto compiled = CompileProcessDna(dna_);
    Add("KillSignal", int32_t{compiled.ok() ? compiled->stop_signal : SIGTERM});
    constexpr uint64_t kStopUsec = 10'000'000;
    constexpr uint64_t kStartUsec = 60'000'000;
    Add("TimeoutStopUSec", process.has_stop_timeout() ? Usec(process.stop_timeout()) : kStopUsec);
    Add("TimeoutStartUSec",
        process.has_start_timeout() ? Usec(process.start_timeout()) : kStartUsec);
  }

  void AddEnvironment() {
    std::map<std::string, std::string> variables = {{"PATH", kPath}};
    for (const auto& [name, value] : dna_.process().environment()) {
      variables[name] = WithPort(value, unit_.port);
    }
    variables["PORT"] = absl::StrCat(unit_.port);
    variables["SHADOWD_POOL"] = unit_.pool;
    variables["SHADOWD_SHADOW"] = unit_.shadow;
    variables["SHADOWD_INSTANCE"] = unit_.id;
    variables["SHADOWD_STORE"] = unit_.store_id;
    std::vector<std::string> block;
    block.reserve(variables.size());
    for (const auto& [name, value] : variables) block.push_back(absl::StrCat(name, "=", value));
    Add("Environment", std::move(block));
    if (!place_.environment_file.empty()) {
      Add("EnvironmentFiles", UnitEnvironmentFile{place_.environment_file});
    }
    std::vector<UnitCredential> credentials;
    for (const v1::Secret& secret : dna_.security().secrets()) {
      credentials.push_back({.name = secret.environment_variable(), .path = secret.source_file()});
    }
    if (!credentials.empty()) Add("LoadCredential", std::move(credentials));
  }

  void AddRoot() {
    const v1::OperatingSystem& os = dna_.operating_system();
    if (!os.image().empty()) Add("RootImage", os.image());
    if (!os.root_hash().empty()) {
      Add("RootHash", UnitBytes{absl::HexStringToBytes(os.root_hash())});
    }
    if (os.image().empty() && HasRoot(dna_)) Add("RootDirectory", os.root_directory());
  }

  void AddFiles() {
    std::vector<UnitBind> read_only;
    std::vector<UnitBind> writable;
    std::set<std::string> kept;  // Read-only where they are.
    const bool root = HasRoot(dna_);
    for (const v1::DataSet& set : dna_.data_sets()) {
      const std::string& target = set.mount_path().empty() ? set.source() : set.mount_path();
      (set.read_only() ? read_only : writable)
          .push_back({.source = set.source(), .target = target});
      // Otherwise it could be written at the other place.
      if (set.read_only() && target != set.source() && !root) kept.insert(set.source());
    }
    for (const std::string& path : dna_.security().read_only_paths()) {
      kept.insert(root ? absl::StrCat("+", path) : path);  // Of the unit's root.
    }
    if (!read_only.empty()) Add("BindReadOnlyPaths", std::move(read_only));
    if (!writable.empty()) Add("BindPaths", std::move(writable));
    if (!kept.empty()) Add("ReadOnlyPaths", std::vector<std::string>(kept.begin(), kept.end()));
  }

  void AddSecurity() {
    const v1::Security& security = dna_.security();
    const bool user_way = place_.way == UnitWay::kUser;
    if (!user_way) {
      if (!security.user().empty()) Add("User", security.user());
      if (security.dynamic_user()) Add("DynamicUser", true);
      uint64_t capabilities = 0;
      for (const std::string& name : security.capabilities()) {
        if (const auto number = CapabilityNumber(name)) capabilities |= uint64_t{1} << *number;
      }
      Add("CapabilityBoundingSet", capabilities);
      if (capabilities != 0) Add("AmbientCapabilities", capabilities);
    }
    const bool protects = security.protect_system() != v1::Security::PROTECT_SYSTEM_UNSPECIFIED;
    if (protects) Add("ProtectSystem", ProtectSystemWord(security.protect_system()));
    // Which "strict" leaves out: /home, /root and /run/user.
    if (security.protect_system() == v1::Security::STRICT) {
      Add("ProtectHome", std::string("read-only"));
    }
    if (security.private_tmp()) Add("PrivateTmp", true);
    const bool filters =
        !security.system_call_filter().empty() || !security.restrict_address_families().empty();
    const auto names = [](const auto& repeated) {
      return UnitAllowed{std::vector<std::string>(repeated.begin(), repeated.end())};
    };
    if (!security.system_call_filter().empty()) {
      Add("SystemCallFilter", names(security.system_call_filter()));
    }
    if (!security.restrict_address_families().empty()) {
      Add("RestrictAddressFamilies", names(security.restrict_address_families()));
    }
    if (security.no_new_privileges() || (user_way && filters)) Add("NoNewPrivileges", true);
    const bool own_view = protects || security.private_tmp() || !dna_.data_sets().empty() ||
                          !security.read_only_paths().empty();
    if (user_way && own_view) Add("PrivateUsers", true);
  }

  void AddResources() {
    const v1::Resources& resources = dna_.resources();
    for (UnitProperty& limit : RunningLimits(dna_)) properties_.push_back(std::move(limit));
    if (resources.has_memory_high_bytes()) {
      Add("MemoryHigh", Number(resources.memory_high_bytes()));
    }
    if (resources.has_memory_max_bytes()) Add("MemoryMax", Number(resources.memory_max_bytes()));
    if (resources.has_tasks_max()) Add("TasksMax", Number(resources.tasks_max()));
    if (resources.has_open_files_max()) Add("LimitNOFILE", Number(resources.open_files_max()));
  }

  void AddLog() {
    if (unit_.log_path.empty()) {
      Add("StandardOutput", std::string("journal"));
      Add("StandardError", std::string("journal"));
      // As the daemon's own lines have them.
      Add("LogExtraFields", std::vector<UnitBytes>{{absl::StrCat("SHADOW_POOL=", unit_.pool)},
                                                   {absl::StrCat("SHADOW_INSTANCE=", unit_.id)}});
      return;
    }
    Add("StandardOutputFileToAppend", unit_.log_path);
    Add("StandardErrorFileToAppend", unit_.log_path);
  }

  const UnitSpec& unit_;
  const v1::Dna& dna_;
  const UnitPlace& place_;
  std::vector<UnitProperty> properties_;
};

}  // namespace

absl::Status CheckUnitDna(const v1::Dna& dna, UnitWay way) {
  if (absl::Status understood = CompileProcessDna(dna).status(); !understood.ok()) {
    return understood;
  }
  if (absl::Status filters = CheckFilters(dna.security()); !filters.ok()) return filters;
  if (absl::Status paths = CheckPaths(dna); !paths.ok()) return paths;
  return way == UnitWay::kUser ? CheckUserWay(dna) : CheckSystemWay(dna);
}

std::vector<UnitProperty> UnitProperties(const UnitSpec& unit, const UnitPlace& place) {
  return Properties(unit, place).Run();
}

// The weight is always there, so that no controller comes and goes with a suspension.
std::vector<UnitProperty> RunningLimits(const v1::Dna& dna) {
  const v1::Resources& resources = dna.resources();
  return {{.name = "CPUQuotaPerSecUSec",
           .value = resources.has_cpu_millis()
                        ? static_cast<uint64_t>(resources.cpu_millis()) * kUsecPerMilli
                        : kNoLimit},
          {.name = "CPUWeight",
           .value = resources.has_cpu_weight() ? static_cast<uint64_t>(resources.cpu_weight())
                                               : kDefaultCpuWeight}};
}

std::vector<UnitProperty> SuspendedLimits() {
  return {{.name = "CPUQuotaPerSecUSec", .value = kLeastCpuUsecPerSec},
          {.name = "CPUWeight", .value = kLeastCpuWeight}};
}

}  // namespace shadow
