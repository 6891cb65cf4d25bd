#include "server/providers/systemd/unit_facts.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
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

bool OnReadOnlyMount(const UnitView& unit, const std::string& path) {
  struct statvfs info {};
  return statvfs(Inside(unit, path).c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
}

void SetWritable(const v1::Dna& dna, const UnitView& unit, Facts& facts) {
  for (const v1::DataSet& set : dna.data_sets()) {
    const std::string& place = set.mount_path().empty() ? set.source() : set.mount_path();
    if (OnReadOnlyMount(unit, place)) facts.data_sets[set.name()].writable = false;
  }
  for (const std::string& path : dna.security().read_only_paths()) {
    if (OnReadOnlyMount(unit, path)) facts.writable_paths.erase(path);
  }
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
void SetLimits(const v1::Resources& wanted, const UnitView& unit, Facts& facts) {
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
  Facts unit_facts;
  for (const v1::DataSet& set : dna.dna.data_sets())
    unit_facts.data_sets[set.name()].writable = true;
  const auto& paths = dna.dna.security().read_only_paths();
  unit_facts.writable_paths.insert(paths.begin(), paths.end());
  SetWritable(dna.dna, unit, unit_facts);
  auto facts = CollectFacts(dna, *record, store_id, clock, stop);
  if (!facts.ok()) return facts;
  for (auto& [name, fact] : facts->data_sets) {
    fact.writable = fact.writable && unit_facts.data_sets[name].writable;
  }
  std::erase_if(facts->writable_paths, [&unit_facts](const std::string& path) {
    return !unit_facts.writable_paths.contains(path);
  });
  SetLimits(dna.dna.resources(), unit, *facts);
  return facts;
}

}  // namespace shadow
