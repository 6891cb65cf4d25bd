// Paths that only root can change, and the policy's own file. They need root, and a folder that is
// below root's alone: elsewhere they look at the host's own files.
#include "server/units/policy/paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "server/core/error.h"
#include "server/units/gate/unit_count.h"
#include "server/units/policy/policy.h"
#include "tests/server/units/gate/gate_world.h"

namespace shadow {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kOther = 65534;

bool Good(const std::string& path, PathKind kind = PathKind::kEither,
          PathOwner owner = PathOwner::kAnyone) {
  const absl::Status status = CheckTrustedPath("field", path, kind, owner);
  if (!status.ok()) CHECK(ErrorField(status) == "field");
  return status.ok();
}

// A folder of root's in one of root's; unset: this is not root.
class RootsFolder {
 public:
  RootsFolder() {
    std::string folder = "/var/lib/shadowd-test-XXXXXX";
    if (geteuid() == 0 && mkdtemp(folder.data()) != nullptr) path_ = folder;
    if (!path_.empty()) chmod(path_.c_str(), 0755);
  }
  ~RootsFolder() {
    if (!path_.empty()) fs::remove_all(path_);
  }
  explicit operator bool() const { return !path_.empty(); }
  std::string Path(const std::string& name) const { return path_ + name; }
  std::string Folder(const std::string& name) const {
    fs::create_directories(path_ + name);
    return path_ + name;
  }
  std::string File(const std::string& name, const std::string& text = "x") const {
    std::ofstream(path_ + name) << text;
    chmod((path_ + name).c_str(), 0644);
    return path_ + name;
  }

 private:
  std::string path_;
};

TEST_CASE("only paths on which root alone can change anything are good") {
  CHECK(Good("/usr/bin", PathKind::kDirectory));
  CHECK(Good("/usr", PathKind::kDirectory, PathOwner::kRoot));
  CHECK(Good("/", PathKind::kDirectory, PathOwner::kRoot));
  CHECK(Good("/etc/passwd", PathKind::kFile, PathOwner::kRoot));
  CHECK_FALSE(Good("/etc/passwd", PathKind::kDirectory));
  CHECK_FALSE(Good("/etc", PathKind::kFile));
  for (const char* path : {"", "etc", "etc/passwd", "/etc/", "//etc", "/etc/../etc", "/./etc",
                           "/etc/.", "/etc/none", "/tmp/any", "/proc/self/root", "/dev/null"}) {
    INFO(path);
    CHECK_FALSE(Good(path));
  }
}

TEST_CASE("a link or somebody else's folder on the way is refused") {
  const RootsFolder roots;
  if (!roots) {
    WARN("needs root");
    return;
  }
  const std::string data = roots.Folder("/data");
  const std::string file = roots.File("/data/file");
  CHECK(Good(file, PathKind::kFile, PathOwner::kRoot));
  // The end may be anyone's, where it may.
  REQUIRE(chown(file.c_str(), kOther, kOther) == 0);
  CHECK(Good(file, PathKind::kFile, PathOwner::kAnyone));
  CHECK_FALSE(Good(file, PathKind::kFile, PathOwner::kRoot));
  // A link, at the end and on the way.
  fs::create_symlink("/etc", roots.Path("/link"));
  fs::create_symlink("/etc/shadow", roots.Path("/data/secret"));
  CHECK_FALSE(Good(roots.Path("/link")));
  CHECK_FALSE(Good(roots.Path("/link/passwd")));
  CHECK_FALSE(Good(roots.Path("/data/secret")));
  // Somebody else's folder, and one that others may write, also a sticky one.
  const std::string inner = roots.Folder("/data/inner/leaf");
  CHECK(Good(inner));
  const std::string middle = roots.Path("/data/inner");
  for (const mode_t mode : {mode_t{0775}, mode_t{0757}, mode_t{01777}}) {
    REQUIRE(chmod(middle.c_str(), mode) == 0);
    CHECK_FALSE(Good(inner));
    CHECK(Good(middle));  // As an end it is only shown.
    CHECK_FALSE(Good(middle, PathKind::kDirectory, PathOwner::kRoot));
  }
  REQUIRE(chmod(middle.c_str(), 0755) == 0);
  REQUIRE(chown(middle.c_str(), kOther, 0) == 0);
  CHECK_FALSE(Good(inner));
  // No device, socket or pipe.
  REQUIRE(mkfifo(roots.Path("/data/pipe").c_str(), 0644) == 0);
  CHECK_FALSE(Good(roots.Path("/data/pipe")));
}

TEST_CASE("a mount point is missing in root's folder, or root's") {
  const RootsFolder roots;
  if (!roots) {
    WARN("needs root");
    return;
  }
  const std::string root = roots.Folder("/root");
  roots.Folder("/root/mnt/data");
  CHECK(CheckMountPoint("f", root, "/mnt/data").ok());
  CHECK(CheckMountPoint("f", root, "/mnt/data/new/deep").ok());
  CHECK_FALSE(CheckMountPoint("f", root, "/mnt/data/../../../etc/x").ok());
  fs::create_symlink("/etc", roots.Path("/root/mnt/etc"));
  CHECK_FALSE(CheckMountPoint("f", root, "/mnt/etc/nologin").ok());
  REQUIRE(chmod(roots.Path("/root/mnt/data").c_str(), 0777) == 0);
  CHECK_FALSE(CheckMountPoint("f", root, "/mnt/data/new").ok());
}

TEST_CASE("a folder that is swapped for a link all the time is never followed") {
  const RootsFolder roots;
  if (!roots) {
    WARN("needs root");
    return;
  }
  // The folder above is another user's, who can swap: no look may call it good.
  const std::string theirs = roots.Folder("/theirs");
  roots.Folder("/theirs/a");
  fs::create_symlink("/etc", theirs + "/b");
  REQUIRE(chown(theirs.c_str(), kOther, kOther) == 0);
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    while (!stop) {
      renameat2(AT_FDCWD, (theirs + "/a").c_str(), AT_FDCWD, (theirs + "/b").c_str(),
                RENAME_EXCHANGE);
    }
  });
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    good += CheckTrustedPath("f", theirs + "/a", PathKind::kEither, PathOwner::kAnyone).ok();
  }
  stop = true;
  swapper.join();
  CHECK(good == 0);
}

TEST_CASE("all paths of a DNA are looked at") {
  const RootsFolder roots;
  if (!roots) {
    WARN("needs root");
    return;
  }
  const std::string data = roots.Folder("/data");
  const std::string secret = roots.File("/secret");
  v1::Dna dna;
  v1::DataSet& set = *dna.add_data_sets();
  set.set_source(data);
  dna.mutable_security()->add_secrets()->set_source_file(secret);
  CHECK(CheckTrustedPaths(dna).ok());
  const auto field = [&] { return ErrorField(CheckTrustedPaths(dna)); };
  set.set_mount_path("/tmp/x");
  CHECK(field() == "dna.data_sets[0].mount_path");
  set.set_mount_path("");
  set.set_source("/tmp/x");
  CHECK(field() == "dna.data_sets[0].source");
  set.set_source(data);
  dna.mutable_security()->mutable_secrets(0)->set_source_file(data);
  CHECK(field() == "dna.security.secrets[0].source_file");
  dna.mutable_operating_system()->set_root_directory(secret);
  CHECK(field() == "dna.operating_system.root_directory");
  dna.mutable_operating_system()->set_root_directory(roots.Folder("/root"));
  dna.mutable_security()->clear_secrets();
  CHECK(CheckTrustedPaths(dna).ok());
  dna.mutable_operating_system()->set_image(data);
  CHECK(field() == "dna.operating_system.image");
}

TEST_CASE("a policy file that others than root can write is not read") {
  const RootsFolder roots;
  if (!roots) {
    WARN("needs root");
    return;
  }
  const std::string folder = roots.Folder("/etc");
  const std::string file = roots.File("/etc/units.textproto", "users: \"www-data\"\n");
  const auto read = ReadUnitsPolicy(file);
  REQUIRE(read.ok());
  CHECK(read->users(0) == "www-data");
  for (const mode_t mode : {mode_t{0664}, mode_t{0646}}) {
    REQUIRE(chmod(file.c_str(), mode) == 0);
    CHECK_FALSE(ReadUnitsPolicy(file).ok());
  }
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  CHECK(ReadUnitsPolicy(file).ok());
  REQUIRE(chown(file.c_str(), kOther, 0) == 0);
  CHECK_FALSE(ReadUnitsPolicy(file).ok());
  REQUIRE(chown(file.c_str(), 0, 0) == 0);
  REQUIRE(chmod(folder.c_str(), 0775) == 0);
  CHECK_FALSE(ReadUnitsPolicy(file).ok());
  REQUIRE(chmod(folder.c_str(), 0755) == 0);
  fs::create_symlink(file, roots.Path("/etc/link"));
  CHECK_FALSE(ReadUnitsPolicy(roots.Path("/etc/link")).ok());
  CHECK_FALSE(ReadUnitsPolicy(roots.Path("/etc/none")).ok());
  const auto damaged = ReadUnitsPolicy(roots.File("/etc/units.textproto", "users: 1\n"));
  CHECK(damaged.status().message().find("units.textproto:1:8: ") != std::string::npos);
}

TEST_CASE("the files of transient units are counted, of other units not") {
  std::string folder = fs::temp_directory_path() / "shadowd-count-XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  CHECK(*CountUnits(folder + "/none") == 0);
  CHECK(*CountUnits(folder) == 0);
  for (const char* name : {"shadow-0123abcd-i1.service", "shadow-4567cdef-i2.service",
                           "shadow-web.slice", "run-u1.service", "ashadow-x.service"}) {
    std::ofstream(folder + "/" + name) << "[Unit]\n";
  }
  fs::create_directory(folder + "/shadow-0123abcd-i1.service.d");
  CHECK(*CountUnits(folder) == 2);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace shadow
