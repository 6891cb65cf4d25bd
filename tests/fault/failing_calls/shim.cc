// Lets system calls of a program fail as Faults say (faults.h). It stands before the C library's
// functions, under their names: loaded before a daemon (LD_PRELOAD), or linked into a test. Here:
// calls at files.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

#include "tests/fault/failing_calls/judge.h"

namespace shadow::shim {
namespace {

int OpenAs(Owner owner, int home, const char* path, int flags, mode_t mode) {
  if (Fails(Faults::kOpen, owner)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_openat, home, path, flags, mode));
  SetOwner(fd, owner);
  return fd;
}

int Open(const char* path, int flags, mode_t mode) {
  return OpenAs(OwnerOf(path), AT_FDCWD, path, flags, mode);
}

int OpenAt(int home, const char* path, int flags, mode_t mode) {
  const bool by_home = home != AT_FDCWD && *path != '/';
  return OpenAs(by_home ? OwnerOf(home) : OwnerOf(path), home, path, flags, mode);
}

mode_t ModeOf(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? va_arg(arguments, mode_t) : 0;
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

}  // namespace

extern "C" {

int OpenOrFail(const char* path, int flags, ...) __asm__("open");
int Open64OrFail(const char* path, int flags, ...) __asm__("open64");
int OpenAtOrFail(int home, const char* path, int flags, ...) __asm__("openat");
int OpenAt64OrFail(int home, const char* path, int flags, ...) __asm__("openat64");
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

int OpenOrFail(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return Open(path, flags, mode);
}

int Open64OrFail(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return Open(path, flags, mode);
}

int OpenAtOrFail(int home, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(home, path, flags, mode);
}

int OpenAt64OrFail(int home, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(home, path, flags, mode);
}

DIR* OpenDirectoryOrFail(const char* path) {
  const int fd = Open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) return nullptr;
  SetOwner(fd, Owner::kNobody);  // Its reads are of another kind.
  SetOwner(OwnersOfDirectories(), fd, OwnerOf(path));
  return fdopendir(fd);
}

int CloseDirectory(DIR* directory) {
  using Function = int (*)(DIR*);
  static const Kept<Function> kNext{Next<Function>("closedir")};
  SetOwner(OwnersOfDirectories(), dirfd(directory), Owner::kNobody);
  return kNext.what(directory);
}

void* ReadDirectoryOrFail(DIR* directory) {
  using Function = DirectoryEntry;
  static const Kept<Function> kNext{Next<Function>("readdir")};
  return ReadDirectory(directory, kNext.what);
}

void* ReadDirectory64OrFail(DIR* directory) {
  using Function = DirectoryEntry;
  static const Kept<Function> kNext{Next<Function>("readdir64")};
  return ReadDirectory(directory, kNext.what);
}

int Close(int fd) {
  SetOwner(fd, Owner::kNobody);
  return static_cast<int>(Raw(SYS_close, fd));
}

ssize_t ReadOrFail(int fd, void* buffer, size_t bytes) {
  return Move(Faults::kRead, SYS_read, fd, buffer, bytes);
}
ssize_t ReadAtOrFail(int fd, void* buffer, size_t bytes, off_t at) {
  return MoveAt(Faults::kRead, SYS_pread64, fd, buffer, bytes, at);
}
ssize_t ReadAt64OrFail(int fd, void* buffer, size_t bytes, off_t at) {
  return MoveAt(Faults::kRead, SYS_pread64, fd, buffer, bytes, at);
}
ssize_t WriteOrFail(int fd, const void* buffer, size_t bytes) {
  return Move(Faults::kWrite, SYS_write, fd, buffer, bytes);
}
ssize_t WriteAtOrFail(int fd, const void* buffer, size_t bytes, off_t at) {
  return MoveAt(Faults::kWrite, SYS_pwrite64, fd, buffer, bytes, at);
}
ssize_t WriteAt64OrFail(int fd, const void* buffer, size_t bytes, off_t at) {
  return MoveAt(Faults::kWrite, SYS_pwrite64, fd, buffer, bytes, at);
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

int StatOrFail(const char* path, void* info) { return Stat(path, info, 0); }
int Stat64OrFail(const char* path, void* info) { return Stat(path, info, 0); }
int StatLinkOrFail(const char* path, void* info) { return Stat(path, info, AT_SYMLINK_NOFOLLOW); }
int StatLink64OrFail(const char* path, void* info) { return Stat(path, info, AT_SYMLINK_NOFOLLOW); }
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

}  // extern "C"

}  // namespace shadow::shim
