// Can a process with these credentials write a path, in any way?
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/providers/process_credentials.h"

namespace shadow {

struct Writer {
  uid_t uid = 0;
  std::vector<gid_t> groups;  // All of them.
  CapabilityMask capabilities = 0;
};

// True if it can change the file, or anything in the directory tree, at `path`, or can put another
// one there. By owner and mode, whatever the uid: uid 0 has no rights of its own here, its
// capabilities give them. In particular true if
// - it owns any file or directory of it (an owner can chmod), unless on a read-only mount,
// - it can write any directory above and so rename what is below (a sticky one: only what it owns),
// - it has a capability that sets permissions aside: CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN,
// CAP_SETUID,
//   CAP_SYS_PTRACE, ...; on a read-only mount only CAP_SYS_ADMIN and its like.
// A file with a POSIX ACL counts as writable if its mask lets anybody write. A directory that it
// cannot search hides what is below. Not seen: who holds it open for writing already. A path that
// does not exist is writable if it could be made. kFailedPrecondition: more than 100,000 entries
// below. kPermissionDenied: the daemon itself cannot look.
absl::StatusOr<bool> CanWrite(const Writer& writer, const std::string& path);

}  // namespace shadow
