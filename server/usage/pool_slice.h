// Where the kernel has the slice of a pool's units.
#pragma once

#include <string>
#include <string_view>

#include "shadow/v1/pool.pb.h"

namespace shadow {

// "/sys/fs/cgroup/shadow.slice/shadow-web.slice" of a pool whose provider is systemd; empty: it has
// another one. `own_cgroup`: of the daemon, "/user.slice/user-1000.slice/user@1000.service/...",
// which says where its user's manager is; otherwise it is where systemd has it. `uid`: the
// daemon's.
std::string PoolSliceDirectory(const v1::Pool& pool, std::string_view own_cgroup, unsigned uid);

// Of this process, of its line in /proc/self/cgroup; empty: there is none of v2.
std::string DaemonCgroup();

}  // namespace shadow
