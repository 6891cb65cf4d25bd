// Read-only or not, by what is mounted where.
#include "server/providers/systemd/system_unit_facts.h"

#include <catch2/catch.hpp>
#include <string>

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

TEST_CASE("mounts say how much of the system is protected, and whose /tmp it is") {
  const std::string root = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  const std::string usr = "23 22 8:1 /usr /usr ro - ext4 /dev/sda1 rw\n";
  const std::string etc = "24 22 8:1 /etc /etc ro - ext4 /dev/sda1 rw\n";
  CHECK(ProtectionBy(root) == v1::Security::PROTECT_SYSTEM_UNSPECIFIED);
  CHECK(ProtectionBy(root + usr) == v1::Security::USR);
  CHECK(ProtectionBy(root + usr + etc) == v1::Security::FULL);
  CHECK(ProtectionBy("22 1 8:1 / / ro - ext4 /dev/sda1 rw\n") == v1::Security::STRICT);
  CHECK_FALSE(HasPrivateTmp(root));
  CHECK_FALSE(HasPrivateTmp(root + "25 22 0:30 / /tmp rw - tmpfs tmpfs rw\n"));
  CHECK(
      HasPrivateTmp(root + "25 22 8:1 /tmp/systemd-private-0f-x.service-a/tmp /tmp rw - e d rw\n"));
}

}  // namespace
}  // namespace shadow
