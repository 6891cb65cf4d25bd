#include "server/providers/process_plan.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/core/error.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_access.h"
#include "server/units/secret_files.h"

namespace shadow {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

absl::Status Refuse(const std::string& field, const std::string& problem) {
  return FieldError(field, problem, absl::StatusCode::kFailedPrecondition);
}

// As Refuse, where the look at what the field names has failed.
absl::Status RefuseUnread(const std::string& field, const std::string& what,
                          const absl::Status& look) {
  const std::string problem = absl::StrCat(what, std::string(look.message()));
  return IsPassing(look) ? FieldError(field, problem, look.code()) : Refuse(field, problem);
}

CapabilityMask Bit(int capability) { return CapabilityMask{1} << capability; }

absl::Status CheckPlace(const v1::Dna& dna) {
  const v1::OperatingSystem& os = dna.operating_system();
  if (!os.root_directory().empty() && os.root_directory() != "/") {
    return Refuse("dna.operating_system.root_directory",
                  "the process provider runs on the host's own root; unset it or use \"/\"");
  }
  if (!os.image().empty() || !os.image_digest().empty()) {
    return Refuse(
        os.image().empty() ? "dna.operating_system.image_digest" : "dna.operating_system.image",
        "the process provider cannot run images");
  }
  for (const v1::DataSet& set : dna.data_sets()) {
    if (set.mount_path().empty() || set.mount_path() == set.source()) continue;
    return Refuse(absl::StrCat("dna.data_sets[", set.name(), "].mount_path"),
                  "the process provider mounts nothing; unset it, or use the source's path");
  }
  return absl::OkStatus();
}

// What only a unit can be held to.
absl::Status CheckNoUnitFields(const v1::Dna& dna) {
  const v1::Security& security = dna.security();
  const auto set = [](const char* field, bool is_set) {
    return !is_set ? absl::OkStatus()
                   : Refuse(field, "the process provider cannot do this; the systemd provider can");
  };
  for (const absl::Status& status :
       {set("dna.operating_system.root_hash", !dna.operating_system().root_hash().empty()),
        set("dna.security.dynamic_user", security.dynamic_user()),
        set("dna.security.protect_system",
            security.protect_system() != v1::Security::PROTECT_SYSTEM_UNSPECIFIED),
        set("dna.security.private_tmp", security.private_tmp()),
        set("dna.security.system_call_filter", !security.system_call_filter().empty()),
        set("dna.security.restrict_address_families",
            !security.restrict_address_families().empty()),
        set("dna.resources.cpu_weight", dna.resources().has_cpu_weight()),
        set("dna.resources.memory_high_bytes", dna.resources().has_memory_high_bytes())}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckCredentials(const Credentials& wanted, const ProcessPrivileges& own) {
  if (wanted.change_user && (!own.Has(CAP_SETUID) || !own.Has(CAP_SETGID))) {
    return Refuse("dna.security.user",
                  absl::StrCat("the daemon runs as uid ", own.uid, " and may not become uid ",
                               wanted.uid, "; it needs CAP_SETUID and CAP_SETGID"));
  }
  const CapabilityMask missing = wanted.capabilities & ~(own.permitted & own.bounding);
  if (missing != 0) {
    return Refuse("dna.security.capabilities",
                  absl::StrCat("the daemon has no ", absl::StrJoin(CapabilityNames(missing), " "),
                               " to give"));
  }
  const CapabilityMask excess = own.bounding & ~wanted.capabilities;
  if (wanted.uid == 0 && excess != 0 && !own.Has(CAP_SETPCAP)) {
    return Refuse("dna.security.capabilities",
                  "uid 0 would keep every capability; the daemon needs CAP_SETPCAP to take them");
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const v1::Resources& resources, const Credentials& wanted,
                         const ProcessPrivileges& own) {
  if (resources.has_cpu_millis()) {
    return Refuse("dna.resources.cpu_millis", "the process provider cannot limit CPU; unset it");
  }
  const CapabilityMask unbound = Bit(CAP_SYS_ADMIN) | Bit(CAP_SYS_RESOURCE);
  if (resources.has_tasks_max() && (wanted.uid == 0 || (wanted.capabilities & unbound) != 0)) {
    return Refuse(
        "dna.resources.tasks_max",
        "RLIMIT_NPROC does not bind root, CAP_SYS_ADMIN or CAP_SYS_RESOURCE; unset it, or "
        "use another user");
  }
  for (const SpawnSpec::Limit& limit : LimitsOf(resources)) {
    if ((wanted.capabilities & Bit(CAP_SYS_RESOURCE)) != 0) {
      return Refuse(limit.field, "an instance with CAP_SYS_RESOURCE can raise its own limits");
    }
    struct rlimit now {};
    getrlimit(static_cast<__rlimit_resource_t>(limit.resource), &now);
    if (now.rlim_max != RLIM_INFINITY && limit.maximum > now.rlim_max &&
        !own.Has(CAP_SYS_RESOURCE)) {
      return Refuse(limit.field, absl::StrCat(limit.maximum, " is above the daemon's own limit of ",
                                              now.rlim_max));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReadOnly(const Writer& writer, const std::string& field,
                           const std::string& path) {
  const auto writable = CanWrite(writer, path);
  if (!writable.ok()) {
    return RefuseUnread(field, "cannot tell if it is read-only: ", writable.status());
  }
  if (!*writable) return absl::OkStatus();
  return Refuse(field, absl::StrCat("uid ", writer.uid, " can write or replace ", path,
                                    "; let another user own it, or mount it read-only"));
}

absl::Status CheckReadOnly(const v1::Dna& dna, const Credentials& wanted) {
  Writer writer{.uid = wanted.uid, .groups = wanted.groups, .capabilities = wanted.capabilities};
  writer.groups.push_back(wanted.gid);
  for (const v1::DataSet& set : dna.data_sets()) {
    if (!set.read_only()) continue;
    const std::string field = absl::StrCat("dna.data_sets[", set.name(), "].read_only");
    if (absl::Status status = CheckReadOnly(writer, field, set.source()); !status.ok()) {
      return status;
    }
  }
  for (const std::string& path : dna.security().read_only_paths()) {
    const std::string field = absl::StrCat("dna.security.read_only_paths[", path, "]");
    if (absl::Status status = CheckReadOnly(writer, field, path); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string WithPort(const std::string& text, int port) {
  return absl::StrReplaceAll(text, {{"$(PORT)", absl::StrCat(port)}});
}

// Who, where and with what variables; common to instances and verify commands.
absl::StatusOr<SpawnSpec> PlanAny(const v1::Dna& dna, int port,
                                  std::map<std::string, std::string>& environment) {
  auto credentials = ResolveCredentials(dna.security());
  if (!credentials.ok()) return credentials.status();
  SpawnSpec plan;
  plan.credentials = *std::move(credentials);
  plan.no_new_privileges = dna.security().no_new_privileges();
  if (!dna.process().working_directory().empty()) {
    plan.working_directory = dna.process().working_directory();
  }
  environment["PATH"] = kPath;
  for (const auto& [name, value] : dna.process().environment()) {
    environment[name] = WithPort(value, port);
  }
  environment["PORT"] = absl::StrCat(port);
  return plan;
}

void SetEnvironment(const std::map<std::string, std::string>& environment, SpawnSpec& plan) {
  for (const auto& [name, value] : environment) {
    plan.environment.push_back(absl::StrCat(name, "=", value));
  }
}

}  // namespace

absl::Status CheckEnforceable(const v1::Dna& dna) {
  if (absl::Status status = CheckPlace(dna); !status.ok()) return status;
  if (absl::Status status = CheckNoUnitFields(dna); !status.ok()) return status;
  const auto own = ReadPrivileges(getpid());
  if (!own.ok()) return own.status();
  const auto wanted = ResolveCredentials(dna.security());
  if (!wanted.ok()) return wanted.status();
  if (absl::Status status = CheckCredentials(*wanted, *own); !status.ok()) return status;
  if (absl::Status status = CheckLimits(dna.resources(), *wanted, *own); !status.ok()) {
    return status;
  }
  if (!dna.network().connections().empty() && wanted->change_user && !own->Has(CAP_SYS_PTRACE)) {
    return Refuse("dna.network.connections",
                  "the daemon needs CAP_SYS_PTRACE to see another user's connections");
  }
  return CheckReadOnly(dna, *wanted);
}

std::vector<SpawnSpec::Limit> LimitsOf(const v1::Resources& resources) {
  std::vector<SpawnSpec::Limit> limits;
  const auto add = [&limits](bool set, int resource, int64_t maximum, const char* field) {
    if (!set) return;
    limits.push_back(
        {.resource = resource, .maximum = static_cast<uint64_t>(maximum), .field = field});
  };
  add(resources.has_memory_max_bytes(), RLIMIT_AS, resources.memory_max_bytes(),
      "dna.resources.memory_max_bytes");
  add(resources.has_tasks_max(), RLIMIT_NPROC, resources.tasks_max(), "dna.resources.tasks_max");
  add(resources.has_open_files_max(), RLIMIT_NOFILE, resources.open_files_max(),
      "dna.resources.open_files_max");
  return limits;
}

absl::StatusOr<SpawnSpec> PlanInstance(const InstanceSpec& instance, int port,
                                       const std::string& store_id) {
  const v1::Dna& dna = instance.dna->dna;
  if (dna.process().argv().empty()) return Refuse("dna.process.argv", "it is empty");
  std::map<std::string, std::string> environment;
  auto plan = PlanAny(dna, port, environment);
  if (!plan.ok()) return plan;
  const auto secrets = ReadSecrets(dna.security());
  if (!secrets.ok()) return secrets.status();
  for (size_t i = 0; i < secrets->size(); ++i) {
    const v1::Secret& secret = dna.security().secrets(static_cast<int>(i));
    environment[secret.environment_variable()] = (*secrets)[i];
  }
  environment["PORT"] = absl::StrCat(port);
  environment["SHADOWD_POOL"] = instance.pool;
  environment["SHADOWD_SHADOW"] = instance.shadow;
  environment[kInstanceVariable] = instance.id;
  environment[kStoreVariable] = store_id;
  SetEnvironment(environment, *plan);
  for (const std::string& argument : dna.process().argv()) {
    plan->argv.push_back(WithPort(argument, port));
  }
  plan->limits = LimitsOf(dna.resources());
  return plan;
}

absl::StatusOr<SpawnSpec> PlanVerification(const v1::Dna& dna, const v1::Software& software,
                                           int port) {
  std::map<std::string, std::string> environment;
  auto plan = PlanAny(dna, port, environment);
  if (!plan.ok()) return plan;
  SetEnvironment(environment, *plan);
  plan->argv.assign(software.verify_argv().begin(), software.verify_argv().end());
  return plan;
}

absl::StatusOr<bool> PortIsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot look for a free port: no socket");
  const absl::Cleanup close_fd = [fd] { close(fd); };
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
         listen(fd, 1) == 0;
}

}  // namespace shadow
