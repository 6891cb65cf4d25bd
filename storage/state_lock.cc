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
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write the pid"));
  }
  return absl::OkStatus();
}

// Whoever may write there could put links in the place of our files, and what we write with our
// rights would go elsewhere.
absl::Status CheckOwner(const std::string& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot read its owner"));
  }
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & S_IWOTH) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(directory,
                                                      " must be a directory that belongs to uid ",
                                                      geteuid(), " and that others may not write"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateLock>> StateLock::Take(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot create the directory"));
  }
  if (absl::Status safe = CheckOwner(directory); !safe.ok()) return safe;
  const std::string path = absl::StrCat(directory, "/lock");
  // Close-on-exec: an instance that inherited it would hold the lock after us.
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  auto lock = std::make_unique<StateLock>(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": flock"));
    return absl::AlreadyExistsError(
        absl::StrCat(directory, " is in use by another process, pid ", ReadPid(fd)));
  }
  if (absl::Status status = WritePid(fd, path); !status.ok()) return status;
  return lock;
}

StateLock::~StateLock() { close(fd_); }

}  // namespace shadow
