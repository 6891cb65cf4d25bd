#include "server/usage/pool_slice.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/core/text.h"
#include "server/units/unit_name.h"

namespace shadow {
namespace {

constexpr std::string_view kRoot = "/sys/fs/cgroup";
constexpr std::string_view kDefaultSlice = "shadow.slice";

// Of the manager of the user `uid`, below the root.
std::string UserManager(std::string_view own_cgroup, unsigned uid) {
  const std::string service = absl::StrCat("/user@", uid, ".service");
  const size_t found = own_cgroup.find(service + "/");
  if (found != std::string_view::npos) {
    return std::string(own_cgroup.substr(0, found + service.size()));
  }
  return absl::StrCat("/user.slice/user-", uid, ".slice", service);
}

// systemd.slice(5): each "-" of the name is a step down. "a-b.slice" -> "/a.slice/a-b.slice".
std::string Nested(std::string_view slice) {
  std::string path;
  for (size_t dash = slice.find('-'); dash != std::string_view::npos;
       dash = slice.find('-', dash + 1)) {
    absl::StrAppend(&path, "/", Absl(slice.substr(0, dash)), ".slice");
  }
  return absl::StrCat(path, "/", Absl(slice));
}

}  // namespace

std::string PoolSliceDirectory(const v1::Pool& pool, std::string_view own_cgroup, unsigned uid) {
  if (!pool.provider().has_systemd()) return "";
  const v1::SystemdProvider& systemd = pool.provider().systemd();
  const std::string slice(systemd.slice().empty() ? std::string(kDefaultSlice) : systemd.slice());
  const std::string manager = systemd.manager() == v1::SystemdProvider::SYSTEM
                                  ? std::string()
                                  : UserManager(own_cgroup, uid);
  return absl::StrCat(Absl(kRoot), manager, Nested(PoolSlice(slice, LastId(pool.name()))));
}

std::string DaemonCgroup() {
  constexpr std::string_view kUnified = "0::";
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(kUnified)) return line.substr(kUnified.size());
  }
  return "";
}

}  // namespace shadow
