#include "server/providers/process_dna.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"
#include "server/core/text.h"
#include "server/providers/process_credentials.h"

namespace shadow {
namespace {

constexpr int kDefaultPortMin = 20000;
constexpr int kDefaultPortMax = 29999;
constexpr FieldChecker::Limits kOwnPorts = {.min = 1024, .max = 65535};
constexpr FieldChecker::Limits kTasks = {.min = 1, .max = 4'194'304};      // PID_MAX_LIMIT
constexpr FieldChecker::Limits kOpenFiles = {.min = 1, .max = 1'048'576};  // fs.nr_open

constexpr std::array<std::pair<std::string_view, int>, 7> kSignalNames = {{{"SIGTERM", SIGTERM},
                                                                           {"SIGINT", SIGINT},
                                                                           {"SIGQUIT", SIGQUIT},
                                                                           {"SIGHUP", SIGHUP},
                                                                           {"SIGUSR1", SIGUSR1},
                                                                           {"SIGUSR2", SIGUSR2},
                                                                           {"SIGKILL", SIGKILL}}};

// The signal of this name; 0: it is none, which is refused.
int CheckSignal(std::string_view field, const std::string& name, FieldChecker& check) {
  for (const auto& [known, signal] : kSignalNames) {
    if (known == name) return signal;
  }
  check.Fail(field, absl::StrCat(Quoted(name),
                                 " is none of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, "
                                 "SIGUSR2, SIGKILL"));
  return 0;
}

bool IsUser(const std::string& user) {
  constexpr size_t kNameMaxBytes = 32;            // useradd(8)
  constexpr uint64_t kUidMax = 4'294'967'294ULL;  // (uid_t)-1 means "no change" to the kernel.
  if (user.empty() || user.size() > kNameMaxBytes) return false;
  if (std::all_of(user.begin(), user.end(), IsDigit)) {
    constexpr size_t kUidMaxDigits = 10;
    return user.size() <= kUidMaxDigits && std::stoull(user) <= kUidMax;
  }
  return (IsAlpha(user.front()) || user.front() == '_') &&
         std::all_of(user.begin(), user.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

void CheckSecurity(const v1::Security& security, FieldChecker& check) {
  if (!security.user().empty() && !IsUser(security.user())) {
    check.Fail("dna.security.user",
               absl::StrCat(Quoted(security.user()), " is neither a user name nor a user number"));
  }
  std::set<std::string_view> seen;
  for (int i = 0; check.ok() && i < security.capabilities_size(); ++i) {
    const std::string& name = security.capabilities(i);
    const std::string field = absl::StrCat("dna.security.capabilities[", i, "]");
    if (!CapabilityNumber(name).has_value()) {
      check.Fail(field,
                 absl::StrCat(Quoted(name), " is not a capability such as CAP_NET_BIND_SERVICE"));
    } else if (!seen.insert(name).second) {
      check.Fail(field, absl::StrCat(name, " is there twice"));
    }
  }
}

// What only a cluster has.
void CheckNoCluster(const v1::Dna& dna, FieldChecker& check) {
  const auto refuse = [&check](const std::string& field) {
    check.Add(FieldError(field, "is set; only the kubernetes provider has it",
                         absl::StatusCode::kFailedPrecondition));
  };
  for (int i = 0; check.ok() && i < dna.data_sets_size(); ++i) {
    if (dna.data_sets(i).volume_claim().empty()) continue;
    refuse(absl::StrCat("dna.data_sets[", i, "].volume_claim"));
  }
  for (int i = 0; check.ok() && i < dna.security().secrets_size(); ++i) {
    if (dna.security().secrets(i).secret_name().empty()) continue;
    refuse(absl::StrCat("dna.security.secrets[", i, "].secret_name"));
  }
}

void CheckSystemLimits(const v1::Resources& resources, FieldChecker& check) {
  if (resources.has_tasks_max()) {
    check.Range("dna.resources.tasks_max", resources.tasks_max(), kTasks);
  }
  if (resources.has_open_files_max()) {
    check.Range("dna.resources.open_files_max", resources.open_files_max(), kOpenFiles);
  }
}

void CompilePorts(const v1::Network& network, ProcessDna& compiled, FieldChecker& check) {
  compiled.port_min = network.has_port_min() ? network.port_min() : kDefaultPortMin;
  compiled.port_max = network.has_port_max() ? network.port_max() : kDefaultPortMax;
  if (network.has_port_min() != network.has_port_max()) {
    check.Fail(network.has_port_min() ? "dna.network.port_max" : "dna.network.port_min",
               "is unset; port_min and port_max are set both or not at all");
  }
  check.Range("dna.network.port_min", compiled.port_min, kOwnPorts);
  check.Range("dna.network.port_max", compiled.port_max, kOwnPorts);
  if (compiled.port_min > compiled.port_max) {
    check.Fail("dna.network.port_max",
               absl::StrCat(compiled.port_max, " is below port_min, ", compiled.port_min));
  }
}

void CompileSignals(const v1::Process& process, ProcessDna& compiled, FieldChecker& check) {
  if (process.resume_hook().has_signal()) {
    constexpr char kField[] = "dna.process.resume_hook.signal";
    compiled.resume_signal = CheckSignal(kField, process.resume_hook().signal(), check);
    if (compiled.resume_signal == SIGKILL) check.Fail(kField, "SIGKILL would end the instance");
  }
  compiled.stop_signal =
      CheckSignal("dna.process.stop_signal",
                  process.stop_signal().empty() ? "SIGTERM" : process.stop_signal(), check);
}

}  // namespace

absl::StatusOr<ProcessDna> CompileProcessDna(const v1::Dna& dna) {
  FieldChecker check;
  ProcessDna compiled;
  CheckSecurity(dna.security(), check);
  CheckSystemLimits(dna.resources(), check);
  CompilePorts(dna.network(), compiled, check);
  CompileSignals(dna.process(), compiled, check);
  CheckNoCluster(dna, check);
  if (!check.ok()) return check.status();
  return compiled;
}

absl::StatusOr<ProcessDna> CompileProcessDna(const InstanceSpec& instance) {
  return CompileProcessDna(instance.dna ? instance.dna->dna : v1::Dna::default_instance());
}

}  // namespace shadow
