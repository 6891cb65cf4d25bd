#include "storage/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {
namespace {

// What the holder wrote: digits, or empty while it is only about to write.
std::string ReadPid(int fd) {
  char text[32];
  const ssize_t size = pread(fd, text, sizeof text, 0);
  if (size <= 0) return "unknown";
  return std::string(absl::StripAsciiWhitespace({text, static_cast<size_t>(size)}));
}

absl::Status WritePid(int fd, const std::string& path) {
  const std::string text = absl::StrCat(getpid(), "\n");
  // Not emptied first: on a full disk the block might not come back.
  if (pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write the pid"));
  }
  return absl::OkStatus();
}

// Whoever may write there could put links in the place of our files, and what we write with our
// rights would go elsewhere.
absl::Status CheckOwner(const std::string& directory, int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot read its owner"));
  }
  if (info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " belongs to uid ", info.st_uid,
                                                      "; wanted uid ", geteuid(),
                                                      ", which shadowd runs as"));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s has mode %04o; wanted a state directory that only its owner may write, as 0700",
        directory, info.st_mode & 07777));
  }
  return absl::OkStatus();
}

// What is there, but not as it must be, does not get better by trying again.
absl::Status OpenError(int error, const std::string& path, const char* wanted) {
  const absl::Status status =
      absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot open; wanted ", wanted));
  const bool in_the_way = error == ENOTDIR || error == ELOOP || error == EISDIR ||
                          error == EACCES || error == EPERM || error == ENXIO;
  return in_the_way ? absl::FailedPreconditionError(status.message()) : status;
}

// False: another process has it.
absl::StatusOr<bool> Lock(int fd, const std::string& path) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": flock"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateLock>> StateLock::Take(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot create the directory"));
  }
  // Close-on-exec: an instance that inherited one would hold the lock after us.
  const int directory_fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return OpenError(errno, directory, "a directory");
  auto lock = std::make_unique<StateLock>(directory_fd, -1);
  if (absl::Status safe = CheckOwner(directory, directory_fd); !safe.ok()) return safe;
  const std::string path = absl::StrCat(directory, "/lock");
  lock->fd_ =
      openat(directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (lock->fd_ < 0) return OpenError(errno, path, "a file of ours");
  // The file too: a daemon of an older version locks it alone.
  const auto directory_is_free = Lock(directory_fd, directory);
  if (!directory_is_free.ok()) return directory_is_free.status();
  const auto file_is_free = Lock(lock->fd_, path);
  if (!file_is_free.ok()) return file_is_free.status();
  if (!*directory_is_free || !*file_is_free) {
    return absl::AlreadyExistsError(
        absl::StrCat(directory, " is in use by another process, pid ", ReadPid(lock->fd_)));
  }
  if (absl::Status status = WritePid(lock->fd_, path); !status.ok()) return status;
  return lock;
}

StateLock::~StateLock() {
  close(directory_fd_);
  if (fd_ >= 0) close(fd_);
}

}  // namespace shadow
