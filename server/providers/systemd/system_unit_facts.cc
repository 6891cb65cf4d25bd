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

std::optional<UnitMount> MountAt(std::string_view mountinfo, std::string_view path) {
  constexpr size_t kRoot = 3;
  constexpr size_t kPoint = 4;
  constexpr size_t kOptions = 5;
  std::optional<UnitMount> deepest;
  // In the order in which they were mounted: a later one hides an earlier one.
  for (const auto line : absl::StrSplit(Absl(mountinfo), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() <= kOptions || !IsBelow(path, words[kPoint])) continue;
    if (deepest.has_value() && words[kPoint].size() < deepest->point.size()) continue;
    const std::string& options = words[kOptions];
    deepest = UnitMount{.root = words[kRoot],
                        .point = words[kPoint],
                        .read_only = options == "ro" || options.starts_with("ro,")};
  }
  return deepest;
}

bool IsMountedReadOnly(std::string_view mountinfo, std::string_view path) {
  const auto mount = MountAt(mountinfo, path);
  return mount.has_value() && mount->read_only;
}

v1::Security::ProtectSystem ProtectionBy(std::string_view mountinfo) {
  if (!IsMountedReadOnly(mountinfo, "/usr")) return v1::Security::PROTECT_SYSTEM_UNSPECIFIED;
  if (!IsMountedReadOnly(mountinfo, "/etc")) return v1::Security::USR;
  return IsMountedReadOnly(mountinfo, "/") ? v1::Security::STRICT : v1::Security::FULL;
}

bool HasPrivateTmp(std::string_view mountinfo) {
  const auto mount = MountAt(mountinfo, "/tmp");
  return mount.has_value() && mount->point == "/tmp" &&
         mount->root.find("/systemd-private-") != std::string::npos;
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
  facts->protect_system = ProtectionBy(*mountinfo);
  facts->private_tmp = HasPrivateTmp(*mountinfo);
  return facts;
}

}  // namespace shadow
