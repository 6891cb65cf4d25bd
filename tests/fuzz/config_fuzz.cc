// The daemon's configuration file.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "server/config.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  const int fd = memfd_create("config", MFD_CLOEXEC);
  if (write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    const auto config = ReadConfig("/proc/self/fd/" + std::to_string(fd));
    if (config.ok()) ResolveConfig(*config).status().IgnoreError();
  }
  close(fd);
}

}  // namespace shadow
