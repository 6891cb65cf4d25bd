#include "server/providers/logs/log_piece.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace shadow {

absl::StatusOr<LogPiece> ReadLogPiece(const std::string& path, const LogRequest& request) {
  // Not following links, and not waiting for a writer: others than us may have made the path.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(path + " is not a plain file");
  const int64_t size = info.st_size;
  const auto wanted = static_cast<int64_t>(request.bytes_max);
  LogPiece piece;
  piece.next_offset = request.offset.value_or(std::max<int64_t>(0, size - wanted));
  if (piece.next_offset > size) {
    piece.next_offset = size;
    piece.gap = true;
    return piece;
  }
  piece.data.resize(static_cast<size_t>(std::min(wanted, size - piece.next_offset)));
  size_t got = 0;
  while (got < piece.data.size()) {
    const ssize_t more = pread(fd, piece.data.data() + got, piece.data.size() - got,
                               piece.next_offset + static_cast<int64_t>(got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (more == 0) break;  // It is being cut.
    got += static_cast<size_t>(more);
  }
  piece.data.resize(got);
  piece.next_offset += static_cast<int64_t>(got);
  return piece;
}

}  // namespace shadow
