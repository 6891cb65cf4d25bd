// What a new process does between fork and exec: system calls only, no allocation, no lock.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "server/providers/process_credentials.h"
#include "server/providers/process_spawn.h"

namespace shadow {

enum class ChildStep {
  kSession,
  kLimit,
  kUser,
  kDropCapabilities,
  kNoNewPrivileges,
  kDirectory,
  kExec
};

// What it writes to its error pipe before it exits.
struct ChildFailure {
  ChildStep step = ChildStep::kSession;
  size_t index = 0;  // kLimit: which one.
  int error = 0;     // errno
};

// What a holder writes to its report pipe: once before it executes its program, and once more if it
// cannot.
struct HolderReport {
  pid_t child = -1;  // The first process of the instance; -1 before it is forked.
  int error = 0;     // errno
};

// Everything is made before the fork, and outlives it.
struct ChildSetup {
  const SpawnSpec& plan;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int null_fd = -1;
  int go_fd = -1;
  int error_fd = -1;
  int output_fd = -1;  // Standard output and error.
  pid_t parent = 0;
  CapabilityMask own_capabilities = 0;  // Effective, of the parent.
  // With plan.holder:
  int holder_output_fd = -1;  // What output_fd writes is read here.
  int report_fd = -1;
  const char* log_max_bytes = nullptr;
  char* const* holder_environment = nullptr;
};

// Leads a session of its own, waits for a byte on go_fd, then becomes plan.argv. With a holder it
// does so in a child, which leads another session, and becomes the holder itself.
[[noreturn]] void RunChild(const ChildSetup& setup);

}  // namespace shadow
