#include "server/holder/bounded_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace shadow {
namespace {

using Block = std::array<char, 4096>;

ssize_t ReadAt(int fd, Block& block, off_t from, off_t end) {
  const auto wanted = static_cast<size_t>(std::min(off_t{sizeof(block)}, end - from));
  ssize_t got = 0;
  while ((got = pread(fd, block.data(), wanted, from)) < 0 && errno == EINTR) {
  }
  return got;
}

// False: not all of it.
bool WriteAt(int fd, const char* data, size_t size, off_t at) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, data, size, at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

// The first beginning of a line at or after `from`, or `from` if none begins there before `end`.
off_t LineFrom(int fd, off_t from, off_t end) {
  if (from == 0) return from;
  Block block;
  for (off_t at = from - 1; at < end;) {
    const ssize_t got = ReadAt(fd, block, at, end);
    if (got <= 0) return from;
    if (const void* found = memchr(block.data(), '\n', static_cast<size_t>(got))) {
      const off_t line = at + (static_cast<const char*>(found) - block.data()) + 1;
      return line < end ? line : from;
    }
    at += got;
  }
  return from;
}

}  // namespace

off_t CutLog(int fd, off_t max_bytes) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return -1;
  const off_t end = info.st_size;
  off_t from = LineFrom(fd, std::max<off_t>(0, end - max_bytes / 2), end);
  off_t kept = 0;
  Block block;
  while (from < end) {
    const ssize_t got = ReadAt(fd, block, from, end);
    if (got <= 0 || !WriteAt(fd, block.data(), static_cast<size_t>(got), kept)) {
      kept = -1;  // Neither the old text nor the new one.
      break;
    }
    from += got;
    kept += got;
  }
  return ftruncate(fd, std::max<off_t>(kept, 0)) == 0 ? kept : -1;
}

void AppendToLog(int fd, const char* data, size_t size, off_t max_bytes) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return;
  off_t end = info.st_size;
  if (end + static_cast<off_t>(size) > max_bytes) end = CutLog(fd, max_bytes);
  if (end >= 0) WriteAt(fd, data, size, end);
}

}  // namespace shadow
