// Lets system calls of a program fail as Faults say (faults.h). It stands before the C library's
// functions, under their names: loaded before a daemon (LD_PRELOAD), or linked into a test.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <string_view>

#include "tests/fault/failing_calls/faults.h"

namespace shadow {
namespace {

// Whose a file or descriptor is, as far as it counts.
enum class Owner : uint8_t { kNobody, kProvider, kStore };
using Owners = std::array<std::atomic<Owner>, 65536>;  // By descriptor.

// What this process keeps, from its first use on.
template <typename T>
struct Kept {
  T what;
};

Owners& OwnersOfFiles() {
  static const Kept<Owners*> kOwners{new Owners()};
  return *kOwners.what;
}

// Of those that are being listed.
Owners& OwnersOfDirectories() {
  static const Kept<Owners*> kOwners{new Owners()};
  return *kOwners.what;
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

template <typename... Arguments>
long Raw(long number, Arguments... arguments) {
  using Syscall = long (*)(long, ...);
  static const Kept<Syscall> kSyscall{Next<Syscall>("syscall")};
  return kSyscall.what(number, arguments...);
}

Faults* MapFaults() {
  const char* const path = std::getenv(kFaultsVariable);
  if (path == nullptr) return new Faults();
  const auto fd = static_cast<int>(Raw(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
  if (fd < 0) return new Faults();
  void* const memory = mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Raw(SYS_close, fd);
  return memory == MAP_FAILED ? new Faults() : static_cast<Faults*>(memory);
}

enum class Verdict { kGoesOn, kFails, kShort };

// errno is set for kFails. Does not return where it never is to.
Verdict Judge(Faults::Call call, Owner owner, bool may_be_short = false) {
  if (owner == Owner::kNobody) return Verdict::kGoesOn;
  Faults& faults = FaultsHere();
  const uint32_t bit = owner == Owner::kStore ? Faults::OfStore(call) : call;
  if ((faults.calls.load() & bit) == 0) return Verdict::kGoesOn;
  const int error = faults.error.load();
  if (error == Faults::kShort && !may_be_short) return Verdict::kGoesOn;
  if ((faults.seen.fetch_add(1) + 1) % faults.every.load() != 0) return Verdict::kGoesOn;
  const int64_t most = faults.refusals_max.load();
  if (most > 0 && faults.refused.load() >= most) return Verdict::kGoesOn;
  faults.refused.fetch_add(1);
  while (error == Faults::kNeverReturns) pause();
  if (error == Faults::kShort) return Verdict::kShort;
  errno = error;
  return Verdict::kFails;
}

bool Fails(Faults::Call call, Owner owner) { return Judge(call, owner) == Verdict::kFails; }

Owner OwnerOf(std::string_view path) {
  if (path.starts_with("/proc") || path.find("/instances/") != std::string_view::npos ||
      path.ends_with("/instances")) {
    return Owner::kProvider;
  }
  const bool stored = path.find(".db") != std::string_view::npos || path.ends_with("/ballast") ||
                      path == "/etc/machine-id";
  return stored ? Owner::kStore : Owner::kNobody;
}

Owner OwnerOf(const Owners& owners, int fd) {
  const bool known = fd >= 0 && static_cast<size_t>(fd) < owners.size();
  return known ? owners[static_cast<size_t>(fd)].load() : Owner::kNobody;
}
Owner OwnerOf(int fd) { return OwnerOf(OwnersOfFiles(), fd); }

void SetOwner(Owners& owners, int fd, Owner owner) {
  if (fd >= 0 && static_cast<size_t>(fd) < owners.size()) {
    owners[static_cast<size_t>(fd)].store(owner);
  }
}
void SetOwner(int fd, Owner owner) { SetOwner(OwnersOfFiles(), fd, owner); }

int Open(const char* path, int flags, mode_t mode) {
  const Owner owner = OwnerOf(path);
  if (Fails(Faults::kOpen, owner)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_openat, AT_FDCWD, path, flags, mode));
  SetOwner(fd, owner);
  return fd;
}

mode_t ModeOf(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? va_arg(arguments, mode_t) : 0;
}

// -1: it fails; otherwise so many of `bytes` are moved.
ssize_t BytesToMove(Faults::Call call, int fd, size_t bytes) {
  const Verdict verdict = Judge(call, OwnerOf(fd), bytes > 1);
  if (verdict == Verdict::kFails) return -1;
  return static_cast<ssize_t>(verdict == Verdict::kShort ? bytes / 2 : bytes);
}

template <typename Buffer>
ssize_t Move(Faults::Call call, long number, int fd, Buffer buffer, size_t bytes) {
  const ssize_t moved = BytesToMove(call, fd, bytes);
  return moved < 0 ? -1 : Raw(number, fd, buffer, moved);
}

template <typename Buffer>
ssize_t MoveAt(Faults::Call call, long number, int fd, Buffer buffer, size_t bytes, off_t at) {
  const ssize_t moved = BytesToMove(call, fd, bytes);
  return moved < 0 ? -1 : Raw(number, fd, buffer, moved, at);
}

int Stat(const char* path, void* info, int flags) {
  if (Fails(Faults::kStat, OwnerOf(path))) return -1;
  return static_cast<int>(Raw(SYS_newfstatat, AT_FDCWD, path, info, flags));
}

using DirectoryEntry = void* (*)(DIR*);

void* ReadDirectory(DIR* directory, DirectoryEntry next) {
  if (Fails(Faults::kList, OwnerOf(OwnersOfDirectories(), dirfd(directory)))) return nullptr;
  return next(directory);
}

int MakePair(long result, const int* pair) {
  if (result != 0) return -1;
  SetOwner(pair[0], Owner::kProvider);
  SetOwner(pair[1], Owner::kProvider);
  return 0;
}

// Before there are threads, and so before a fork that might find a lock of the loader taken.
[[gnu::constructor]] void FindAll() {
  Raw(SYS_getpid);
  FaultsHere();
  OwnersOfFiles();
  OwnersOfDirectories();
}

}  // namespace

Faults& FaultsHere() {
  static const Kept<Faults*> kFaults{MapFaults()};
  return *kFaults.what;
}

}  // namespace shadow

using shadow::Fails;
using shadow::Faults;
using shadow::Owner;
using shadow::OwnerOf;
using shadow::Raw;

extern "C" {

int OpenOrFail(const char* path, int flags, ...) __asm__("open");
int Open64OrFail(const char* path, int flags, ...) __asm__("open64");
DIR* OpenDirectoryOrFail(const char* path) __asm__("opendir");
int CloseDirectory(DIR* directory) __asm__("closedir");
void* ReadDirectoryOrFail(DIR* directory) __asm__("readdir");
void* ReadDirectory64OrFail(DIR* directory) __asm__("readdir64");
int Close(int fd) __asm__("close");
ssize_t ReadOrFail(int fd, void* buffer, size_t bytes) __asm__("read");
ssize_t ReadAtOrFail(int fd, void* buffer, size_t bytes, off_t at) __asm__("pread");
ssize_t ReadAt64OrFail(int fd, void* buffer, size_t bytes, off_t at) __asm__("pread64");
ssize_t WriteOrFail(int fd, const void* buffer, size_t bytes) __asm__("write");
ssize_t WriteAtOrFail(int fd, const void* buffer, size_t bytes, off_t at) __asm__("pwrite");
ssize_t WriteAt64OrFail(int fd, const void* buffer, size_t bytes, off_t at) __asm__("pwrite64");
int CutOrFail(int fd, off_t size) __asm__("ftruncate");
int Cut64OrFail(int fd, off_t size) __asm__("ftruncate64");
int CutPathOrFail(const char* path, off_t size) __asm__("truncate");
int ReserveOrFail(int fd, off_t at, off_t size) __asm__("posix_fallocate");
int RenameOrFail(const char* from, const char* to) __asm__("rename");
int UnlinkOrFail(const char* path) __asm__("unlink");
int StatOrFail(const char* path, void* info) __asm__("stat");
int Stat64OrFail(const char* path, void* info) __asm__("stat64");
int StatLinkOrFail(const char* path, void* info) __asm__("lstat");
int StatLink64OrFail(const char* path, void* info) __asm__("lstat64");
int StatFileOrFail(int fd, void* info) __asm__("fstat");
int StatFile64OrFail(int fd, void* info) __asm__("fstat64");
int SyncOrFail(int fd) __asm__("fsync");
int SyncDataOrFail(int fd) __asm__("fdatasync");
int PipeOrFail(int* pair, int flags) __asm__("pipe2");
int SocketPairOrFail(int domain, int type, int protocol, int* pair) __asm__("socketpair");
int SocketOrFail(int domain, int type, int protocol) __asm__("socket");
int PollOrFail(pollfd* files, nfds_t count, int timeout_ms) __asm__("poll");
int WatchOrFail(int flags) __asm__("inotify_init1");
int AddWatchOrFail(int fd, const char* path, uint32_t mask) __asm__("inotify_add_watch");
pid_t ForkOrFail() __asm__("fork");
long SyscallOrFail(long number, ...) __asm__("syscall");

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
  shadow::SetOwner(fd, Owner::kNobody);  // Its reads are of another kind.
  shadow::SetOwner(shadow::OwnersOfDirectories(), fd, OwnerOf(path));
  return fdopendir(fd);
}

int CloseDirectory(DIR* directory) {
  using Function = int (*)(DIR*);
  static const shadow::Kept<Function> kNext{shadow::Next<Function>("closedir")};
  shadow::SetOwner(shadow::OwnersOfDirectories(), dirfd(directory), Owner::kNobody);
  return kNext.what(directory);
}

void* ReadDirectoryOrFail(DIR* directory) {
  using Function = shadow::DirectoryEntry;
  static const shadow::Kept<Function> kNext{shadow::Next<Function>("readdir")};
  return shadow::ReadDirectory(directory, kNext.what);
}

void* ReadDirectory64OrFail(DIR* directory) {
  using Function = shadow::DirectoryEntry;
  static const shadow::Kept<Function> kNext{shadow::Next<Function>("readdir64")};
  return shadow::ReadDirectory(directory, kNext.what);
}

int Close(int fd) {
  shadow::SetOwner(fd, Owner::kNobody);
  return static_cast<int>(Raw(SYS_close, fd));
}

ssize_t ReadOrFail(int fd, void* buffer, size_t bytes) {
  return shadow::Move(Faults::kRead, SYS_read, fd, buffer, bytes);
}
ssize_t ReadAtOrFail(int fd, void* buffer, size_t bytes, off_t at) {
  return shadow::MoveAt(Faults::kRead, SYS_pread64, fd, buffer, bytes, at);
}
ssize_t ReadAt64OrFail(int fd, void* buffer, size_t bytes, off_t at) {
  return shadow::MoveAt(Faults::kRead, SYS_pread64, fd, buffer, bytes, at);
}
ssize_t WriteOrFail(int fd, const void* buffer, size_t bytes) {
  return shadow::Move(Faults::kWrite, SYS_write, fd, buffer, bytes);
}
ssize_t WriteAtOrFail(int fd, const void* buffer, size_t bytes, off_t at) {
  return shadow::MoveAt(Faults::kWrite, SYS_pwrite64, fd, buffer, bytes, at);
}
ssize_t WriteAt64OrFail(int fd, const void* buffer, size_t bytes, off_t at) {
  return shadow::MoveAt(Faults::kWrite, SYS_pwrite64, fd, buffer, bytes, at);
}

int CutOrFail(int fd, off_t size) {
  if (Fails(Faults::kWrite, OwnerOf(fd))) return -1;
  return static_cast<int>(Raw(SYS_ftruncate, fd, size));
}
int Cut64OrFail(int fd, off_t size) { return CutOrFail(fd, size); }
int CutPathOrFail(const char* path, off_t size) {
  if (Fails(Faults::kWrite, OwnerOf(path))) return -1;
  return static_cast<int>(Raw(SYS_truncate, path, size));
}

int ReserveOrFail(int fd, off_t at, off_t size) {
  if (Fails(Faults::kWrite, OwnerOf(fd))) return errno;
  return Raw(SYS_fallocate, fd, 0, at, size) == 0 ? 0 : errno;
}

int RenameOrFail(const char* from, const char* to) {
  if (Fails(Faults::kRename, OwnerOf(to))) return -1;
  return static_cast<int>(Raw(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int UnlinkOrFail(const char* path) {
  if (Fails(Faults::kUnlink, OwnerOf(path))) return -1;
  return static_cast<int>(Raw(SYS_unlinkat, AT_FDCWD, path, 0));
}

int StatOrFail(const char* path, void* info) { return shadow::Stat(path, info, 0); }
int Stat64OrFail(const char* path, void* info) { return shadow::Stat(path, info, 0); }
int StatLinkOrFail(const char* path, void* info) {
  return shadow::Stat(path, info, AT_SYMLINK_NOFOLLOW);
}
int StatLink64OrFail(const char* path, void* info) {
  return shadow::Stat(path, info, AT_SYMLINK_NOFOLLOW);
}
int StatFileOrFail(int fd, void* info) {
  if (Fails(Faults::kStat, OwnerOf(fd))) return -1;
  return static_cast<int>(Raw(SYS_fstat, fd, info));
}
int StatFile64OrFail(int fd, void* info) { return StatFileOrFail(fd, info); }

int SyncOrFail(int fd) {
  if (Fails(Faults::kSync, OwnerOf(fd))) return -1;
  return static_cast<int>(Raw(SYS_fsync, fd));
}
int SyncDataOrFail(int fd) {
  if (Fails(Faults::kSync, OwnerOf(fd))) return -1;
  return static_cast<int>(Raw(SYS_fdatasync, fd));
}

int PipeOrFail(int* pair, int flags) {
  if (Fails(Faults::kPipe, Owner::kProvider)) return -1;
  return shadow::MakePair(Raw(SYS_pipe2, pair, flags), pair);
}

int SocketPairOrFail(int domain, int type, int protocol, int* pair) {
  if (Fails(Faults::kPipe, Owner::kProvider)) return -1;
  return shadow::MakePair(Raw(SYS_socketpair, domain, type, protocol, pair), pair);
}

int SocketOrFail(int domain, int type, int protocol) {
  const Owner owner = domain == AF_INET ? Owner::kProvider : Owner::kNobody;
  if (Fails(Faults::kSocket, owner)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_socket, domain, type, protocol));
  shadow::SetOwner(fd, owner);
  return fd;
}

int PollOrFail(pollfd* files, nfds_t count, int timeout_ms) {
  const bool counts = std::any_of(files, files + count, [](const pollfd& file) {
    return OwnerOf(file.fd) == Owner::kProvider;
  });
  if (counts && Fails(Faults::kPoll, Owner::kProvider)) return -1;
  timespec timeout{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
  timespec* const limit = timeout_ms < 0 ? nullptr : &timeout;
  return static_cast<int>(Raw(SYS_ppoll, files, count, limit, nullptr, 0));
}

int WatchOrFail(int flags) {
  if (Fails(Faults::kWatch, Owner::kProvider)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_inotify_init1, flags));
  shadow::SetOwner(fd, Owner::kProvider);
  return fd;
}

int AddWatchOrFail(int fd, const char* path, uint32_t mask) {
  if (Fails(Faults::kWatch, Owner::kProvider)) return -1;
  return static_cast<int>(Raw(SYS_inotify_add_watch, fd, path, mask));
}

pid_t ForkOrFail() {
  using Function = pid_t (*)();
  static const shadow::Kept<Function> kNext{shadow::Next<Function>("fork")};
  if (Fails(Faults::kFork, Owner::kProvider)) return -1;
  return kNext.what();
}

long SyscallOrFail(long number, ...) {
  std::array<long, 6> values{};
  va_list arguments;
  va_start(arguments, number);
  for (long& value : values) value = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_pidfd_open && Fails(Faults::kPidfd, Owner::kProvider)) return -1;
  return Raw(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

}  // extern "C"
