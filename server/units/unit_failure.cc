#include "server/units/unit_failure.h"

#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr int kExited = 1;  // CLD_EXITED, CLD_KILLED, CLD_DUMPED of waitid(2).
constexpr int kKilled = 2;
constexpr int kDumped = 3;
constexpr int kFirstOfSystemd = 200;

struct Step {
  int status;
  const char* field;  // nullptr: depends on the DNA.
  const char* problem;
};

constexpr Step kSteps[] = {
    {200, "dna.process.working_directory", "the directory cannot be entered"},
    {203, "dna.process.argv", "the program cannot be executed"},
    {205, "dna.resources.open_files_max", "the limit cannot be set"},
    {209, "dna.process", "the log cannot be opened"},
    {210, "dna.operating_system.root_directory", "the root cannot be entered"},
    {216, "dna.security.user", "its groups cannot be set"},
    {217, "dna.security.user", "there is no such user"},
    {218, "dna.security.capabilities", "they cannot be set"},
    {222, "dna.process", "the log cannot be opened"},
    {226, nullptr, "its view of the file system cannot be made"},
    {227, "dna.security.no_new_privileges", "it cannot be set"},
    {228, "dna.security.system_call_filter", "it cannot be set"},
    {232, "dna.security.restrict_address_families", "they cannot be restricted"},
    {243, "dna.security.secrets", "a credential cannot be made"},
};

// Of a mount namespace that could not be made: what asks for one, the likeliest first.
const char* ViewField(const v1::Dna& dna) {
  const v1::OperatingSystem& os = dna.operating_system();
  if (!os.image().empty()) return "dna.operating_system.image";
  if (!os.root_directory().empty() && os.root_directory() != "/") {
    return "dna.operating_system.root_directory";
  }
  if (!dna.data_sets().empty()) return "dna.data_sets";
  if (!dna.security().read_only_paths().empty()) return "dna.security.read_only_paths";
  if (dna.security().private_tmp()) return "dna.security.private_tmp";
  return "dna.security.protect_system";
}

std::string SignalName(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

}  // namespace

absl::Status StartFailure(const UnitView& unit, const v1::Dna& dna) {
  if (unit.active_state != "failed" || unit.exec_main_code != kExited ||
      unit.exec_main_status < kFirstOfSystemd) {
    return absl::OkStatus();
  }
  const char* field = "dna.process";
  const char* problem = "the service manager could not start it";
  for (const Step& step : kSteps) {
    if (step.status != unit.exec_main_status) continue;
    field = step.field == nullptr ? ViewField(dna) : step.field;
    problem = step.problem;
  }
  return FieldError(field, absl::StrCat(problem, " (systemd's status ", unit.exec_main_status, ")"),
                    absl::StatusCode::kFailedPrecondition);
}

std::string EndReason(const UnitView& unit) {
  std::string how;
  if (unit.exec_main_code == kExited) {
    how = absl::StrCat("exit status ", unit.exec_main_status);
  } else if (unit.exec_main_code == kKilled || unit.exec_main_code == kDumped) {
    how = absl::StrCat("killed by ", SignalName(unit.exec_main_status));
  }
  if (unit.result == "oom-kill") return absl::StrCat("out of memory", how.empty() ? "" : ", ", how);
  if (unit.result == "timeout") return absl::StrCat("timeout", how.empty() ? "" : ", ", how);
  return how.empty() ? absl::StrCat("failed: ", unit.result.empty() ? "unknown" : unit.result)
                     : how;
}

}  // namespace shadow
