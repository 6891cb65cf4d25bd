#include "server/providers/systemd/system_unit_facts.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/text.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_table.h"
#include "server/providers/systemd/unit_facts.h"
#include "server/units/policy/paths.h"

namespace shadow {
namespace {

// systemd's range of users that exist while their unit does (UIDS-GIDS of systemd).
constexpr int64_t kDynamicUidMin = 61184;
constexpr int64_t kDynamicUidMax = 65519;

int64_t WantedUid(const v1::Security& security, int64_t found) {
  if (security.dynamic_user()) {
    return found >= kDynamicUidMin && found <= kDynamicUidMax ? found : -1;
  }
  const auto wanted = ResolveCredentials(security);
  return wanted.ok() ? int64_t{wanted->uid} : -1;
}

void SetWritableByMounts(const v1::Dna& dna, std::string_view mountinfo, Facts& facts) {
  for (const v1::DataSet& set : dna.data_sets()) {
    const std::string& place = set.mount_path().empty() ? set.source() : set.mount_path();
    if (IsMountedReadOnly(mountinfo, place)) facts.data_sets[set.name()].writable = false;
  }
  for (const std::string& path : dna.security().read_only_paths()) {
    if (IsMountedReadOnly(mountinfo, path)) facts.writable_paths.erase(path);
  }
}

}  // namespace

bool IsMountedReadOnly(std::string_view mountinfo, std::string_view path) {
  constexpr size_t kPoint = 4;
  constexpr size_t kOptions = 5;
  std::string deepest;
  bool read_only = false;
  // In the order in which they were mounted: a later one hides an earlier one.
  for (const auto line : absl::StrSplit(Absl(mountinfo), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() <= kOptions || !IsBelow(path, words[kPoint])) continue;
    if (words[kPoint].size() < deepest.size()) continue;
    deepest = words[kPoint];
    read_only = words[kOptions] == "ro" || words[kOptions].starts_with("ro,");
  }
  return read_only;
}

absl::StatusOr<Facts> CollectSystemUnitFacts(const CompiledDna& dna, const UnitView& unit,
                                             const std::string& store_id, Clock& clock,
                                             const std::stop_token& stop) {
  const auto mountinfo = ReadSmallFile(absl::StrCat("/proc/", unit.main_pid, "/mountinfo"));
  if (!mountinfo.ok()) return mountinfo.status();
  CompiledDna seen = dna;
  v1::Security& security = *seen.dna.mutable_security();
  security.clear_user();
  security.clear_dynamic_user();
  security.clear_capabilities();
  security.clear_secrets();
  auto facts = CollectUnitFacts(seen, unit, store_id, clock, stop);
  if (!facts.ok()) return facts;
  facts->wanted_uid = WantedUid(dna.dna.security(), facts->uid);
  SetWritableByMounts(dna.dna, *mountinfo, *facts);
  return facts;
}

}  // namespace shadow
