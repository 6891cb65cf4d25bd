#include "server/providers/systemd/unit_facts.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/providers/facts/process_facts.h"
#include "server/providers/process_table.h"

namespace shadow {
namespace {

bool Misses(const UnitView& unit, std::string_view controller) {
  const auto& missing = unit.missing_controllers;
  return std::find(missing.begin(), missing.end(), controller) != missing.end();
}

// Where the unit itself sees `path`.
std::string Inside(const UnitView& unit, const std::string& path) {
  return absl::StrCat("/proc/", unit.main_pid, "/root", path);
}

// Whether the unit sees `path` on a mount that can be written; unset: it does not see it.
std::optional<bool> OnWritableMount(const UnitView& unit, const std::string& path) {
  struct statvfs info {};
  if (statvfs(Inside(unit, path).c_str(), &info) != 0) return std::nullopt;
  return (info.f_flag & ST_RDONLY) == 0;
}

// What the mounts of a unit say of it.
struct MountFacts {
  std::set<std::string> writable_sets;  // By DataSet.name: where it is mounted, or at its source.
  std::set<std::string> writable_paths;
  v1::Security::ProtectSystem protect_system = v1::Security::PROTECT_SYSTEM_UNSPECIFIED;
  bool private_tmp = false;
};

// As far as asked for: everything but what is mounted anew, /etc, or /usr is read-only.
v1::Security::ProtectSystem ProtectionOf(const UnitView& unit) {
  const auto fixed = [&unit](const char* path) {
    return !OnWritableMount(unit, path).value_or(true);
  };
  if (!fixed("/usr")) return v1::Security::PROTECT_SYSTEM_UNSPECIFIED;
  if (!fixed("/etc")) return v1::Security::USR;
  return fixed("/") ? v1::Security::STRICT : v1::Security::FULL;
}

bool HasOwnTmp(const UnitView& unit) {
  struct stat mine {};
  struct stat ours {};
  return stat(Inside(unit, "/tmp").c_str(), &mine) == 0 && stat("/tmp", &ours) == 0 &&
         (mine.st_dev != ours.st_dev || mine.st_ino != ours.st_ino);
}

MountFacts ReadMounts(const v1::Dna& dna, const UnitView& unit) {
  MountFacts facts;
  for (const v1::DataSet& set : dna.data_sets()) {
    const std::string& place = set.mount_path().empty() ? set.source() : set.mount_path();
    if (OnWritableMount(unit, place).value_or(true) ||
        OnWritableMount(unit, set.source()).value_or(false)) {
      facts.writable_sets.insert(set.name());
    }
  }
  for (const std::string& path : dna.security().read_only_paths()) {
    if (OnWritableMount(unit, path).value_or(true)) facts.writable_paths.insert(path);
  }
  facts.protect_system = ProtectionOf(unit);
  facts.private_tmp = HasOwnTmp(unit);
  return facts;
}

// Filters of system calls of a process, "Seccomp_filters:" of /proc/PID/status.
int CountFilters(pid_t pid) {
  const auto status = ReadSmallFile(absl::StrCat("/proc/", pid, "/status"));
  if (!status.ok()) return 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*status, '\n'))) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    int count = 0;
    if (parts.first == "Seccomp_filters" &&
        absl::SimpleAtoi(absl::StripAsciiWhitespace(parts.second), &count)) {
      return count;
    }
  }
  return 0;
}

// Whether it has more than the manager that started it, which may have some itself in a container.
bool FiltersSystemCalls(const UnitView& unit) {
  const auto stat = ReadProcessStat(unit.main_pid);
  return stat.ok() && CountFilters(unit.main_pid) > CountFilters(stat->parent);
}

// A number of a file of the control group; unset: there is no limit, or no such file.
std::optional<int64_t> ReadLimit(const UnitView& unit, const char* file) {
  const auto text = ReadSmallFile(absl::StrCat("/sys/fs/cgroup", unit.control_group, "/", file));
  int64_t number = 0;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &number)) {
    return std::nullopt;
  }
  return number;
}

// "50000 100000" of cpu.max: half a core.
std::optional<int64_t> ReadCpuMillis(const UnitView& unit) {
  constexpr int64_t kMillis = 1000;
  const auto text = ReadSmallFile(absl::StrCat("/sys/fs/cgroup", unit.control_group, "/cpu.max"));
  if (!text.ok()) return std::nullopt;
  const std::vector<std::string> words =
      absl::StrSplit(absl::StripAsciiWhitespace(*text), ' ', absl::SkipEmpty());
  int64_t quota = 0;
  int64_t period = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &quota) ||
      !absl::SimpleAtoi(words[1], &period) || period <= 0) {
    return std::nullopt;
  }
  return quota * kMillis / period;
}

// The kernel keeps limits of memory in whole pages.
std::optional<int64_t> InPages(std::optional<int64_t> found, int64_t wanted) {
  constexpr int64_t kPageBytes = 4096;
  return found.has_value() && *found == wanted / kPageBytes * kPageBytes ? wanted : found;
}

// Those of CPU are at their minimum while the unit is suspended.
void SetUnitLimits(const v1::Resources& wanted, const UnitView& unit, Facts& facts) {
  const auto set = [&](const char* name, const char* controller, int64_t asked,
                       std::optional<int64_t> found) {
    const bool frozen = unit.freezer_state == "frozen" && std::string_view(controller) == "cpu";
    if (frozen || Misses(unit, controller)) found = asked;
    facts.limits.erase(name);
    if (found.has_value()) facts.limits[name] = *found;
  };
  if (wanted.has_cpu_millis()) {
    set("cpu_millis", "cpu", wanted.cpu_millis(), ReadCpuMillis(unit));
  }
  if (wanted.has_cpu_weight()) {
    set("cpu_weight", "cpu", wanted.cpu_weight(), ReadLimit(unit, "cpu.weight"));
  }
  if (wanted.has_memory_max_bytes()) {
    set("memory_max_bytes", "memory", wanted.memory_max_bytes(),
        InPages(ReadLimit(unit, "memory.max"), wanted.memory_max_bytes()));
  }
  if (wanted.has_memory_high_bytes()) {
    set("memory_high_bytes", "memory", wanted.memory_high_bytes(),
        InPages(ReadLimit(unit, "memory.high"), wanted.memory_high_bytes()));
  }
  if (wanted.has_tasks_max()) {
    set("tasks_max", "pids", wanted.tasks_max(), ReadLimit(unit, "pids.max"));
  }
}

}  // namespace

absl::StatusOr<ProcessRecord> RecordOfUnit(const UnitView& unit) {
  const auto stat = ReadProcessStat(unit.main_pid);
  if (!stat.ok()) return stat.status();
  if (unit.main_pid <= 0 || stat->IsDead()) return absl::NotFoundError("it has ended");
  ProcessRecord record;
  record.id = unit.id;
  record.pool = unit.pool;
  record.shadow = unit.shadow;
  record.leader = stat->id;
  record.port = unit.port;
  record.boot_id = BootId();
  return record;
}

absl::StatusOr<Facts> CollectUnitFacts(const CompiledDna& dna, const UnitView& unit,
                                       const std::string& store_id, Clock& clock,
                                       const std::stop_token& stop) {
  const auto record = RecordOfUnit(unit);
  if (!record.ok()) return record.status();
  // While the main process is there: what is read below /proc/PID is its own.
  const MountFacts mounts = ReadMounts(dna.dna, unit);
  const bool filters = FiltersSystemCalls(unit);
  auto facts = CollectFacts(dna, *record, store_id, clock, stop);
  if (!facts.ok()) return facts;
  for (auto& [name, fact] : facts->data_sets) {
    fact.writable = fact.writable && mounts.writable_sets.contains(name);
  }
  std::erase_if(facts->writable_paths, [&mounts](const std::string& path) {
    return !mounts.writable_paths.contains(path);
  });
  facts->protect_system = mounts.protect_system;
  facts->private_tmp = mounts.private_tmp;
  facts->filters_system_calls = filters;
  SetUnitLimits(dna.dna.resources(), unit, *facts);
  return facts;
}

}  // namespace shadow
