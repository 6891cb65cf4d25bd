// Between fork and exec: system calls only, no allocation, no lock.
#pragma once

#include <sys/types.h>

namespace shadow {

// Forks. Returns in the child, which leads a session of its own and dies with the guard. The guard,
// this process, never returns: all that descends from the child is its to reap, whatever sessions
// it makes. When the child has ended, SIGTERM comes, or the thread of `parent` that forked the
// guard ends, it kills what is left of them and exits with status 0. False, in this process: it
// could not fork (errno).
bool SplitOffGuard(pid_t parent);

}  // namespace shadow
