// Read-only or not, by what is mounted where.
#include "server/providers/systemd/system_unit_facts.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

constexpr char kMounts[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "23 22 8:1 /srv/data /srv/data ro,nosuid,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "24 22 8:1 /x /srv/data/in rw,relatime - ext4 /dev/sda1 rw\n"
    "25 22 8:1 / /twice ro - ext4 /dev/sda1 rw\n"
    "26 22 8:1 / /twice rw - ext4 /dev/sda1 ro\n"
    "\n"
    "27 22 damaged\n";

TEST_CASE("the deepest and last mount above a path says whether it is read-only") {
  CHECK(IsMountedReadOnly(kMounts, "/srv/data"));
  CHECK(IsMountedReadOnly(kMounts, "/srv/data/file"));
  CHECK_FALSE(IsMountedReadOnly(kMounts, "/srv/database"));
  CHECK_FALSE(IsMountedReadOnly(kMounts, "/srv/data/in/file"));
  CHECK_FALSE(IsMountedReadOnly(kMounts, "/twice"));
  CHECK_FALSE(IsMountedReadOnly(kMounts, "/"));
  CHECK_FALSE(IsMountedReadOnly("", "/srv/data"));
}

}  // namespace
}  // namespace shadow
