// What stands before the C library's functions decides here whether a call fails (faults.h).
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

// Of the C library.
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

// errno is set where it does. Does not return where the call never is to.
bool Fails(Faults::Call call, Owner owner);

// -1: it fails; otherwise so many of `bytes` are moved.
ssize_t BytesToMove(Faults::Call call, int fd, size_t bytes);

}  // namespace shadow::shim
