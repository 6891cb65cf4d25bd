#include "server/usage/whole_file.h"

#include <unistd.h>

#include <cerrno>

namespace shadow {

int ReadToEnd(int fd, size_t max_bytes, std::string& text) {
  text.resize(max_bytes);
  size_t filled = 0;
  while (filled < max_bytes) {
    const ssize_t got = read(fd, text.data() + filled, max_bytes - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return 0;
}

}  // namespace shadow
