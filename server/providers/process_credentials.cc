#include "server/providers/process_credentials.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/error.h"
#include "server/providers/process_table.h"

namespace shadow {
namespace {

constexpr size_t kMaxNameServiceBytes = 1 << 20;
constexpr int kMaxGroups = 65536;  // NGROUPS_MAX of Linux.
constexpr size_t kCapabilityBits = 64;

// Each name stands at the place of its number. Source: linux/capability.h of Linux 5.9 and later.
constexpr std::array<std::string_view, 41> kCapabilities = {"CAP_CHOWN",
                                                            "CAP_DAC_OVERRIDE",
                                                            "CAP_DAC_READ_SEARCH",
                                                            "CAP_FOWNER",
                                                            "CAP_FSETID",
                                                            "CAP_KILL",
                                                            "CAP_SETGID",
                                                            "CAP_SETUID",
                                                            "CAP_SETPCAP",
                                                            "CAP_LINUX_IMMUTABLE",
                                                            "CAP_NET_BIND_SERVICE",
                                                            "CAP_NET_BROADCAST",
                                                            "CAP_NET_ADMIN",
                                                            "CAP_NET_RAW",
                                                            "CAP_IPC_LOCK",
                                                            "CAP_IPC_OWNER",
                                                            "CAP_SYS_MODULE",
                                                            "CAP_SYS_RAWIO",
                                                            "CAP_SYS_CHROOT",
                                                            "CAP_SYS_PTRACE",
                                                            "CAP_SYS_PACCT",
                                                            "CAP_SYS_ADMIN",
                                                            "CAP_SYS_BOOT",
                                                            "CAP_SYS_NICE",
                                                            "CAP_SYS_RESOURCE",
                                                            "CAP_SYS_TIME",
                                                            "CAP_SYS_TTY_CONFIG",
                                                            "CAP_MKNOD",
                                                            "CAP_LEASE",
                                                            "CAP_AUDIT_WRITE",
                                                            "CAP_AUDIT_CONTROL",
                                                            "CAP_SETFCAP",
                                                            "CAP_MAC_OVERRIDE",
                                                            "CAP_MAC_ADMIN",
                                                            "CAP_SYSLOG",
                                                            "CAP_WAKE_ALARM",
                                                            "CAP_BLOCK_SUSPEND",
                                                            "CAP_AUDIT_READ",
                                                            "CAP_PERFMON",
                                                            "CAP_BPF",
                                                            "CAP_CHECKPOINT_RESTORE"};

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// `lookup(passwd*, buffer, size, passwd**)` is getpwnam_r or getpwuid_r with its first argument
// bound.
template <typename Lookup>
absl::StatusOr<std::optional<Account>> LookUp(const Lookup& lookup) {
  std::vector<char> buffer(4096);
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  while ((error = lookup(&entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kMaxNameServiceBytes) {
    buffer.resize(buffer.size() * 2);
  }
  // POSIX lets "not found" be one of these too.
  const bool missing = error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  if (error != 0 && !missing) return absl::ErrnoToStatus(error, "cannot look the user up");
  if (error != 0 || found == nullptr) return std::nullopt;
  return Account{.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid};
}

absl::StatusOr<std::optional<Account>> FindAccount(const std::string& user) {
  uint32_t number = 0;
  if (!absl::SimpleAtoi(user, &number)) {
    return LookUp([&](passwd* entry, char* buffer, size_t size, passwd** found) {
      return getpwnam_r(user.c_str(), entry, buffer, size, found);
    });
  }
  auto account = LookUp([&](passwd* entry, char* buffer, size_t size, passwd** found) {
    return getpwuid_r(number, entry, buffer, size, found);
  });
  // A number needs no entry: its group has the same number, and there are no others.
  if (account.ok() && !account->has_value() && number != UINT32_MAX) {
    return Account{.name = "", .uid = number, .gid = number};
  }
  return account;
}

absl::StatusOr<std::vector<gid_t>> GroupsOf(const Account& account) {
  if (account.name.empty()) return std::vector<gid_t>();
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  errno = 0;
  while (getgrouplist(account.name.c_str(), account.gid, groups.data(), &count) < 0 &&
         count <= kMaxGroups) {
    groups.resize(static_cast<size_t>(std::max(count, static_cast<int>(groups.size()) + 1)));
    count = static_cast<int>(groups.size());
  }
  // It does not say that it could not read them all; what it has met on the way does.
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look up the groups of ", account.name));
  }
  groups.resize(static_cast<size_t>(std::clamp(count, 0, static_cast<int>(groups.size()))));
  return groups;
}

// The value after "Name:" in a file of /proc/PID/status.
std::string StatusValue(const std::string& status, std::string_view name) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(status, '\n'))) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      return std::string(absl::StripAsciiWhitespace(line.substr(name.size() + 1)));
    }
  }
  return "";
}

}  // namespace

std::optional<int> CapabilityNumber(std::string_view name) {
  const auto* const found = std::find(kCapabilities.begin(), kCapabilities.end(), name);
  if (found == kCapabilities.end()) return std::nullopt;
  return static_cast<int>(found - kCapabilities.begin());
}

std::set<std::string> CapabilityNames(CapabilityMask mask) {
  std::set<std::string> names;
  for (size_t i = 0; i < kCapabilityBits; ++i) {
    if ((mask >> i & 1) == 0) continue;
    names.insert(i < kCapabilities.size() ? std::string(kCapabilities[i])
                                          : absl::StrCat("CAP_", i));
  }
  return names;
}

absl::StatusOr<ProcessPrivileges> ReadPrivileges(pid_t pid) {
  const auto status = ReadSmallFile(absl::StrCat("/proc/", pid, "/status"));
  if (!status.ok()) return status.status();
  const auto words = [&](std::string_view name) {
    return std::vector<std::string>(
        absl::StrSplit(StatusValue(*status, name), absl::ByAnyChar(" \t"), absl::SkipEmpty()));
  };
  const auto mask = [&](std::string_view name, CapabilityMask& out) {
    return absl::SimpleHexAtoi(StatusValue(*status, name), &out);
  };
  ProcessPrivileges found;
  const std::vector<std::string> uids = words("Uid");  // Real, effective, saved, file system.
  const std::vector<std::string> gids = words("Gid");
  bool parsed = uids.size() >= 2 && absl::SimpleAtoi(uids[0], &found.real_uid) &&
                absl::SimpleAtoi(uids[1], &found.uid) && gids.size() >= 2 &&
                absl::SimpleAtoi(gids[1], &found.gid) && mask("CapPrm", found.permitted) &&
                mask("CapEff", found.effective) && mask("CapBnd", found.bounding);
  for (const std::string& word : words("Groups")) {
    parsed = absl::SimpleAtoi(word, &found.groups.emplace_back()) && parsed;
  }
  found.no_new_privileges = StatusValue(*status, "NoNewPrivs") == "1";
  if (!parsed) return absl::InternalError(absl::StrCat("/proc/", pid, "/status is not understood"));
  return found;
}

absl::StatusOr<Credentials> ResolveCredentials(const v1::Security& security) {
  Credentials wanted;
  wanted.uid = geteuid();
  wanted.gid = getegid();
  wanted.groups.resize(kMaxGroups);
  const int own_groups = getgroups(kMaxGroups, wanted.groups.data());
  wanted.groups.resize(static_cast<size_t>(std::max(own_groups, 0)));

  if (!security.user().empty()) {
    const auto account = FindAccount(security.user());
    if (!account.ok()) return account.status();
    if (!account->has_value()) {
      return FieldError("dna.security.user",
                        absl::StrCat("there is no user \"", security.user(), "\" on this host"),
                        absl::StatusCode::kFailedPrecondition);
    }
    if ((*account)->uid != wanted.uid) {
      wanted.change_user = true;
      wanted.uid = (*account)->uid;
      wanted.gid = (*account)->gid;
      auto groups = GroupsOf(**account);
      if (!groups.ok()) return groups.status();
      wanted.groups = *std::move(groups);
    }
  }
  for (const std::string& name : security.capabilities()) {
    const std::optional<int> number = CapabilityNumber(name);
    if (!number) {
      return FieldError("dna.security.capabilities",
                        absl::StrCat("there is no capability \"", name, "\""),
                        absl::StatusCode::kFailedPrecondition);
    }
    wanted.capabilities |= CapabilityMask{1} << *number;
  }
  return wanted;
}

}  // namespace shadow
