// The children of this process. System calls alone, for use between fork and exec too.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace shadow {

// Calls `act` with the number of each child that the kernel lists now ("17 42 "), zombies included.
// One that is new or becomes a child meanwhile may be missing. The numbers stay theirs until they
// are reaped.
template <typename Act>
void ForEachChild(Act act) {
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  std::array<char, 4096> text{};
  pid_t child = 0;
  for (ssize_t got = 0; (got = read(fd, text.data(), text.size())) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      const char c = text[static_cast<size_t>(i)];
      if (c >= '0' && c <= '9') {
        child = child * 10 + (c - '0');
        continue;
      }
      if (child > 0) act(child);
      child = 0;
    }
  }
  close(fd);
}

}  // namespace shadow
