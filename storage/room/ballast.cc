#include "storage/room/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace shadow::storage {

Ballast::Ballast(std::string path, int64_t bytes_max)
    : path_(std::move(path)), bytes_max_(bytes_max) {
  struct stat info {};
  if (lstat(path_.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    bytes_ = std::min<int64_t>(info.st_size, bytes_max_);
  }
}

absl::Status Ballast::Fill() {
  if (whole()) return absl::OkStatus();
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": cannot open"));
  const absl::Cleanup close_file = [fd] { close(fd); };
  // From the start: holes of a file that was copied are filled too.
  const int error = posix_fallocate(fd, 0, bytes_max_);
  if (error == 0) {
    bytes_ = bytes_max_;
    return absl::OkStatus();
  }
  // Where it was made by writing, a part is there now.
  if (ftruncate(fd, bytes_) != 0) bytes_ = 0;  // Release would find nothing to give back.
  return absl::ErrnoToStatus(error, absl::StrCat(path_, ": cannot hold back ", bytes_max_));
}

bool Ballast::Release() {
  if (bytes_ == 0) return false;
  const int64_t left = std::max<int64_t>(0, bytes_ - kSliceBytes);
  if (truncate(path_.c_str(), left) != 0) {
    if (errno == ENOENT) bytes_ = 0;  // Somebody was faster.
    return false;
  }
  bytes_ = left;
  return true;
}

}  // namespace shadow::storage
