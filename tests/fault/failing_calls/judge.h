// Decides whether a call fails (faults.h). Used by the functions that shadow those of the C library
// (shim.cc, other_calls.cc), and by nobody else. Thread-safe.
#pragma once

#include <dlfcn.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "tests/fault/failing_calls/faults.h"

namespace shadow::shim {

// Whose a file or descriptor is, as far as it counts.
enum class Owner : uint8_t { kNobody, kProvider, kStore };
using Owners = std::array<std::atomic<Owner>, 65536>;  // By descriptor.

// What this process keeps, from its first use on.
template <typename T>
struct Kept {
  T what;
};

Owners& OwnersOfFiles();
Owners& OwnersOfDirectories();  // Of those that are being listed.

Owner OwnerOf(std::string_view path);
Owner OwnerOf(const Owners& owners, int fd);
inline Owner OwnerOf(int fd) { return OwnerOf(OwnersOfFiles(), fd); }
void SetOwner(Owners& owners, int fd, Owner owner);
inline void SetOwner(int fd, Owner owner) { SetOwner(OwnersOfFiles(), fd, owner); }

// The function of that name in the C library.
template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// The system call itself, which never fails by a test.
template <typename... Arguments>
long Raw(long number, Arguments... arguments) {
  using Syscall = long (*)(long, ...);
  static const Kept<Syscall> kSyscall{Next<Syscall>("syscall")};
  return kSyscall.what(number, arguments...);
}

// Sets errno if so. Does not return if the call must hang.
bool Fails(Faults::Call call, Owner owner);

// How many of `bytes` the call may move; -1 if it must fail.
ssize_t BytesToMove(Faults::Call call, int fd, size_t bytes);

}  // namespace shadow::shim
