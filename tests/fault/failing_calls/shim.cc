// For LD_PRELOAD: lets system calls of a program fail as the file named by SHADOW_TEST_FAULTS says
// (faults.h). It stands before the C library's functions, under their names.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <string_view>

#include "tests/fault/failing_calls/faults.h"

namespace shadow {
namespace {

// Descriptors of files that count, by number.
using Counted = std::array<std::atomic<bool>, 65536>;

// What this process keeps, from its first use on.
template <typename T>
struct Kept {
  T what;
};

Counted& CountedFiles() {
  static const Kept<Counted*> kCounted{new Counted()};
  return *kCounted.what;
}

Faults* MapFaults() {
  const char* const path = std::getenv(kFaultsVariable);
  if (path == nullptr) return nullptr;
  const auto fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
  if (fd < 0) return nullptr;
  void* const memory = mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  return memory == MAP_FAILED ? nullptr : static_cast<Faults*>(memory);
}

// Whether this one is to fail; errno is set then. Does not return where it never is to.
bool Fails(Faults::Call call) {
  static const Kept<Faults*> kMapped{MapFaults()};
  Faults* const faults = kMapped.what;
  if (faults == nullptr || (faults->calls.load() & call) == 0) return false;
  if ((faults->seen.fetch_add(1) + 1) % faults->every.load() != 0) return false;
  const int error = faults->error.load();
  faults->refused.fetch_add(1);
  while (error == Faults::kNeverReturns) pause();
  errno = error;
  return true;
}

bool Counts(std::string_view path) {
  return path.starts_with("/proc") || path.find("/instances/") != std::string_view::npos ||
         path.ends_with("/instances");
}

bool IsCounted(int fd) {
  Counted& files = CountedFiles();
  return fd >= 0 && static_cast<size_t>(fd) < files.size() && files[static_cast<size_t>(fd)].load();
}

void SetCounted(int fd, bool counted) {
  Counted& files = CountedFiles();
  if (fd >= 0 && static_cast<size_t>(fd) < files.size()) {
    files[static_cast<size_t>(fd)].store(counted);
  }
}

int Open(const char* path, int flags, mode_t mode) {
  const bool counts = Counts(path);
  if (counts && Fails(Faults::kOpen)) return -1;
  const auto fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  SetCounted(fd, counts);
  return fd;
}

mode_t ModeOf(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace shadow

extern "C" {

int OpenOrFail(const char* path, int flags, ...) __asm__("open");
int Open64OrFail(const char* path, int flags, ...) __asm__("open64");
DIR* OpenDirectoryOrFail(const char* path) __asm__("opendir");
int Close(int fd) __asm__("close");
ssize_t ReadOrFail(int fd, void* buffer, size_t bytes) __asm__("read");
ssize_t WriteOrFail(int fd, const void* buffer, size_t bytes) __asm__("write");
int RenameOrFail(const char* from, const char* to) __asm__("rename");
int SyncOrFail(int fd) __asm__("fsync");
int SyncDataOrFail(int fd) __asm__("fdatasync");
pid_t ForkOrFail() __asm__("fork");

int OpenOrFail(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = shadow::ModeOf(flags, arguments);
  va_end(arguments);
  return shadow::Open(path, flags, mode);
}

int Open64OrFail(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = shadow::ModeOf(flags, arguments);
  va_end(arguments);
  return shadow::Open(path, flags, mode);
}

DIR* OpenDirectoryOrFail(const char* path) {
  const int fd = shadow::Open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) return nullptr;
  shadow::SetCounted(fd, false);  // closedir does not tell us.
  return fdopendir(fd);
}

int Close(int fd) {
  shadow::SetCounted(fd, false);
  return static_cast<int>(syscall(SYS_close, fd));
}

ssize_t ReadOrFail(int fd, void* buffer, size_t bytes) {
  if (shadow::IsCounted(fd) && shadow::Fails(shadow::Faults::kRead)) return -1;
  return syscall(SYS_read, fd, buffer, bytes);
}

ssize_t WriteOrFail(int fd, const void* buffer, size_t bytes) {
  if (shadow::IsCounted(fd) && shadow::Fails(shadow::Faults::kWrite)) return -1;
  return syscall(SYS_write, fd, buffer, bytes);
}

int RenameOrFail(const char* from, const char* to) {
  if (shadow::Counts(to) && shadow::Fails(shadow::Faults::kRename)) return -1;
  return static_cast<int>(syscall(SYS_rename, from, to));
}

int SyncOrFail(int fd) {
  if (shadow::IsCounted(fd) && shadow::Fails(shadow::Faults::kSync)) return -1;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int SyncDataOrFail(int fd) {
  if (shadow::Fails(shadow::Faults::kStoreSync)) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

pid_t ForkOrFail() {
  static const shadow::Kept<void*> kForkOfLibc{dlsym(RTLD_NEXT, "fork")};
  if (shadow::Fails(shadow::Faults::kFork)) return -1;
  return reinterpret_cast<pid_t (*)()>(kForkOfLibc.what)();
}

}  // extern "C"
