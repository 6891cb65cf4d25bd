#include "server/providers/look/instance_callers.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/holder/interface.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_table.h"

namespace shadow {
namespace {

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Debian 12's headers are older than its backported kernels.
#endif

constexpr int kOriginTries = 3;  // Innocent processes lose their parents too.
constexpr int kAncestorsMax = 256;

enum class Origin { kElsewhere, kInstance, kUnknown };

// Owns a pidfd; -1 is none.
class PidFd {
 public:
  PidFd(int socket_fd, pid_t pid) {
    socklen_t length = sizeof(fd_);
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd_, &length) == 0) return;
    const bool unknown_option = errno == ENOPROTOOPT;
    fd_ = unknown_option ? static_cast<int>(syscall(SYS_pidfd_open, pid, 0)) : -1;
  }
  PidFd(const PidFd&) = delete;
  PidFd& operator=(const PidFd&) = delete;
  ~PidFd() {
    if (fd_ >= 0) close(fd_);
  }

  bool Lives() const {
    pollfd ended{.fd = fd_, .events = POLLIN, .revents = 0};
    return fd_ >= 0 && poll(&ended, 1, 0) == 0;
  }

 private:
  int fd_ = -1;
};

// "/system.slice/shadowd.service"; empty where it cannot be read, or there is no cgroup v2.
std::string CgroupOf(pid_t pid) {
  constexpr std::string_view kUnified = "0::";
  const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/cgroup"));
  if (!text.ok()) return "";
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.starts_with(kUnified)) return std::string(line.substr(kUnified.size()));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return "";
}

// Empty unless systemd has started this very process: only then is the cgroup ours alone.
std::string OwnCgroup() {
  const char* started = std::getenv("SYSTEMD_EXEC_PID");
  if (started == nullptr || started != absl::StrCat(getpid())) return "";
  std::string cgroup = CgroupOf(getpid());
  return cgroup == "/" ? "" : cgroup;
}

Origin OriginByTags(pid_t pid, const std::string& store_id) {
  const auto environment = ReadEnvironment(pid);
  if (!environment.ok()) return Origin::kUnknown;
  if (EnvironmentValue(*environment, kStoreVariable) == store_id) return Origin::kInstance;
  const std::string_view holds = EnvironmentValue(*environment, kHoldsVariable);
  const std::string_view store = holds.substr(0, holds.find_first_of("/ "));
  return store == store_id ? Origin::kInstance : Origin::kElsewhere;
}

// From the process up to init. A parent that is younger than its child has a number that was used
// again.
Origin OriginByDescent(pid_t pid, const std::string& store_id) {
  ProcessStat child;
  for (int i = 0; i < kAncestorsMax; ++i) {
    const auto stat = ReadProcessStat(pid);
    if (!stat.ok()) return Origin::kUnknown;
    const bool is_caller = child.id.pid == 0;
    if (!is_caller && stat->id.start_ticks > child.id.start_ticks) return Origin::kUnknown;
    // Everything is a descendant of process 1, which we are in a container of our own.
    if (!is_caller && pid == getpid() && pid != 1) return Origin::kInstance;
    const Origin by_tags = OriginByTags(pid, store_id);
    if (by_tags != Origin::kElsewhere) return by_tags;
    if (stat->parent <= 1) return Origin::kElsewhere;
    child = *stat;
    pid = stat->parent;
  }
  return Origin::kUnknown;
}

}  // namespace

InstanceCallers::InstanceCallers(std::string store_id, RecordDirectory records)
    : store_id_(std::move(store_id)), records_(std::move(records)), own_cgroup_(OwnCgroup()) {}

bool InstanceCallers::MayBe(int socket_fd) const {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return true;
  // Of a process namespace that is not below ours, where no instance can be.
  if (peer.pid == 0) return false;
  Origin origin = Origin::kUnknown;
  for (int i = 0; i < kOriginTries && origin == Origin::kUnknown; ++i) {
    origin = OriginByDescent(peer.pid, store_id_);
  }
  if (origin == Origin::kInstance) return true;
  bool suspicious = origin == Origin::kUnknown;
  if (!suspicious && !own_cgroup_.empty() && peer.uid != 0 && peer.pid != getpid()) {
    // An instance that has killed its holder is nobody's child any more, but still of this unit.
    const std::string cgroup = CgroupOf(peer.pid);
    suspicious = cgroup.empty() || (cgroup + "/").starts_with(own_cgroup_ + "/");
  }
  // It was the same process throughout, if it still is. (Only now: one descriptor at a time.)
  if (!suspicious && PidFd(socket_fd, peer.pid).Lives()) return false;
  const auto uids = records_.Uids();
  return !uids.ok() || uids->contains(peer.uid);
}

}  // namespace shadow
