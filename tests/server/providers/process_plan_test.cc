// What the process provider refuses, field by field, and who can write what.
#include "server/providers/process_plan.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "server/core/error.h"
#include "server/providers/process_access.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

constexpr uid_t kStranger = 54321;  // Owns nothing here.

void AddDataSet(v1::Dna& dna, const std::string& path, const std::string& mount_path = "") {
  v1::DataSet& set = *dna.add_data_sets();
  set.set_name("catalog");
  set.set_source(path);
  set.set_mount_path(mount_path);
  set.set_read_only(true);
}

TEST_CASE("a DNA that a plain process cannot be held to is refused by its field") {
  struct Row {
    const char* field;  // Empty: it is accepted.
    std::function<void(v1::Dna&)> change;
  };
  const TemporaryDirectory directory;
  WriteFile(directory / "own", "");
  const std::string own = directory / "own";
  const std::vector<Row> rows = {
      {"", [](v1::Dna&) {}},
      {"", [](v1::Dna& dna) { dna.mutable_operating_system()->set_root_directory("/"); }},
      {"", [](v1::Dna& dna) { dna.mutable_operating_system()->set_id("debian"); }},
      {"", [](v1::Dna& dna) { dna.mutable_resources()->set_memory_max_bytes(1 << 30); }},
      {"", [](v1::Dna& dna) { dna.mutable_resources()->set_open_files_max(16); }},
      {"", [](v1::Dna& dna) { dna.mutable_security()->set_user(std::to_string(geteuid())); }},
      {"",
       [&](v1::Dna& dna) {
         AddDataSet(dna, own, own);
         dna.mutable_data_sets(0)->set_read_only(false);
       }},
      {"dna.operating_system.root_directory",
       [](v1::Dna& dna) { dna.mutable_operating_system()->set_root_directory("/srv/root"); }},
      {"dna.operating_system.image",
       [](v1::Dna& dna) { dna.mutable_operating_system()->set_image("debian:12"); }},
      {"dna.operating_system.image_digest",
       [](v1::Dna& dna) { dna.mutable_operating_system()->set_image_digest("sha256:00"); }},
      {"dna.data_sets[catalog].mount_path",
       [&](v1::Dna& dna) { AddDataSet(dna, "/usr", "/srv/catalog"); }},
      {"dna.data_sets[catalog].read_only", [&](v1::Dna& dna) { AddDataSet(dna, own); }},
      {"dna.security.read_only_paths[/tmp]",
       [](v1::Dna& dna) { dna.mutable_security()->add_read_only_paths("/tmp"); }},
      {"dna.security.user", [](v1::Dna& dna) { dna.mutable_security()->set_user("no-such-user"); }},
      {"dna.security.capabilities",
       [](v1::Dna& dna) { dna.mutable_security()->add_capabilities("CAP_UNHEARD_OF"); }},
      {"dna.resources.cpu_millis",
       [](v1::Dna& dna) { dna.mutable_resources()->set_cpu_millis(100); }},
      {"dna.resources.open_files_max",
       [](v1::Dna& dna) { dna.mutable_resources()->set_open_files_max(int64_t{1} << 40); }},
  };
  for (const Row& row : rows) {
    v1::Dna dna = TestDna().dna;
    row.change(dna);
    INFO(dna.ShortDebugString());
    const absl::Status status = CheckEnforceable(dna);
    INFO(status.ToString());
    // As root with CAP_SYS_RESOURCE a limit can be raised.
    if (std::string_view(row.field) == "dna.resources.open_files_max" &&
        ReadPrivileges(getpid())->Has(CAP_SYS_RESOURCE)) {
      continue;
    }
    CHECK(ErrorField(status) == row.field);
    CHECK(status.code() ==
          (*row.field == '\0' ? absl::StatusCode::kOk : absl::StatusCode::kFailedPrecondition));
  }
}

TEST_CASE("what only a unit can be held to is refused by its field") {
  struct Row {
    const char* field;
    std::function<void(v1::Dna&)> change;
  };
  const std::vector<Row> rows = {
      {"dna.operating_system.root_hash",
       [](v1::Dna& dna) { dna.mutable_operating_system()->set_root_hash("00"); }},
      {"dna.security.dynamic_user",
       [](v1::Dna& dna) { dna.mutable_security()->set_dynamic_user(true); }},
      {"dna.security.protect_system",
       [](v1::Dna& dna) { dna.mutable_security()->set_protect_system(v1::Security::USR); }},
      {"dna.security.private_tmp",
       [](v1::Dna& dna) { dna.mutable_security()->set_private_tmp(true); }},
      {"dna.security.system_call_filter",
       [](v1::Dna& dna) { dna.mutable_security()->add_system_call_filter("read"); }},
      {"dna.security.restrict_address_families",
       [](v1::Dna& dna) { dna.mutable_security()->add_restrict_address_families("AF_INET"); }},
      {"dna.resources.cpu_weight",
       [](v1::Dna& dna) { dna.mutable_resources()->set_cpu_weight(100); }},
      {"dna.resources.memory_high_bytes",
       [](v1::Dna& dna) { dna.mutable_resources()->set_memory_high_bytes(1 << 30); }},
  };
  for (const Row& row : rows) {
    v1::Dna dna = TestDna().dna;
    row.change(dna);
    const absl::Status status = CheckEnforceable(dna);
    INFO(status);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(ErrorField(status) == row.field);
  }
}

TEST_CASE("what only root may do is refused to others, and the reverse") {
  v1::Dna other_user = TestDna().dna;
  other_user.mutable_security()->set_user(std::to_string(kStranger));
  v1::Dna capability = TestDna().dna;
  capability.mutable_security()->add_capabilities("CAP_NET_BIND_SERVICE");
  v1::Dna tasks = TestDna().dna;
  tasks.mutable_resources()->set_tasks_max(10);
  v1::Dna connections = other_user;
  connections.mutable_network()->add_connections()->set_host("127.0.0.1");
  if (geteuid() == 0) {
    CHECK(CheckEnforceable(other_user).ok());
    CHECK(CheckEnforceable(capability).ok());
    CHECK(ErrorField(CheckEnforceable(tasks)) == "dna.resources.tasks_max");
    const bool sees = ReadPrivileges(getpid())->Has(CAP_SYS_PTRACE);
    CHECK(ErrorField(CheckEnforceable(connections)) == (sees ? "" : "dna.network.connections"));
    tasks.mutable_security()->set_user(std::to_string(kStranger));
    CHECK(CheckEnforceable(tasks).ok());
    tasks.mutable_security()->add_capabilities("CAP_SYS_ADMIN");
    CHECK_FALSE(CheckEnforceable(tasks).ok());
  } else {
    CHECK(ErrorField(CheckEnforceable(other_user)) == "dna.security.user");
    CHECK(ErrorField(CheckEnforceable(capability)) == "dna.security.capabilities");
    CHECK(CheckEnforceable(tasks).ok());
  }
}

CapabilityMask Capability(const char* name) { return CapabilityMask{1} << *CapabilityNumber(name); }

// Files of our own user, seen by a stranger: only modes and directories decide.
TEST_CASE("who can write a path is decided by owner, mode, group and the directories above") {
  struct Row {
    const char* what;
    mode_t directory;
    mode_t file;
    Writer writer;
    bool writable;
  };
  const Writer stranger{.uid = kStranger, .groups = {kStranger}, .capabilities = 0};
  const Writer member{.uid = kStranger, .groups = {kStranger, getegid()}, .capabilities = 0};
  const Writer owner{.uid = geteuid(), .groups = {}, .capabilities = 0};
  const auto with = [](Writer writer, const char* name) {
    writer.capabilities = Capability(name);
    return writer;
  };
  const std::vector<Row> rows = {
      {"nobody may write", 0755, 0644, stranger, false},
      {"everybody may write", 0755, 0666, stranger, true},
      {"the group may write, and it is no member", 0755, 0664, stranger, false},
      {"the group may write, and it is a member", 0755, 0664, member, true},
      {"an owner can change the mode", 0555, 0444, owner, true},
      {"the directory is writable, so the file can be replaced", 0777, 0444, stranger, true},
      {"sticky: only by who owns it", 01777, 0444, stranger, false},
      {"a directory that it cannot enter hides the file", 0700, 0666, stranger, false},
      {"permissions are set aside", 0755, 0444, with(stranger, "CAP_DAC_OVERRIDE"), true},
      {"the owner can be changed", 0755, 0444, with(stranger, "CAP_CHOWN"), true},
      {"this capability has no such power", 0755, 0444, with(stranger, "CAP_NET_RAW"), false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const TemporaryDirectory base;
    const std::string directory = base / "directory";
    const std::string file = directory + "/file";
    REQUIRE(mkdir(directory.c_str(), 0700) == 0);
    WriteFile(file, "x");
    REQUIRE(chmod(file.c_str(), row.file) == 0);
    REQUIRE(chmod(directory.c_str(), row.directory) == 0);
    const auto writable = CanWrite(row.writer, file);
    CHECK(writable.ok());
    CHECK(writable.value_or(!row.writable) == row.writable);
    chmod(directory.c_str(), 0700);
  }
}

TEST_CASE("a tree is writable if anything in it is, and a missing path if it can be made") {
  const Writer stranger{.uid = kStranger, .groups = {kStranger}, .capabilities = 0};
  const TemporaryDirectory base;
  std::filesystem::create_directories(base / "tree/a/b");
  WriteFile(base / "tree/a/b/file", "x");
  CHECK_FALSE(CanWrite(stranger, base / "tree").value());
  CHECK_FALSE(CanWrite(stranger, base / "tree/missing").value());
  REQUIRE(chmod((base / "tree/a/b/file").c_str(), 0666) == 0);
  CHECK(CanWrite(stranger, base / "tree").value());
  CHECK(CanWrite(stranger, base / "tree/").value());
  REQUIRE(chmod((base / "tree/a/b/file").c_str(), 0644) == 0);
  REQUIRE(chmod((base / "tree/a").c_str(), 0777) == 0);
  CHECK(CanWrite(stranger, base / "tree").value());
  CHECK(CanWrite(stranger, base / "tree/a/missing").value());
  // A link is as good as what it leads to, and its own directory.
  REQUIRE(symlink((base / "tree/a").c_str(), (base / "link").c_str()) == 0);
  CHECK(CanWrite(stranger, base / "link").value());
}

// In a mount namespace of its own, on `place`, a directory below one that a stranger cannot write.
// 0: all as expected, 1: not, 2: no mount may be made here.
int TryReadOnlyMount(const std::string& place) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", place.c_str(), "tmpfs", 0, "mode=0755") != 0) {
    return 2;
  }
  const std::string file = place + "/file";
  WriteFile(file, "x");
  if (chown(file.c_str(), kStranger, kStranger) != 0) return 2;
  Writer owner{.uid = kStranger, .groups = {}, .capabilities = 0};
  if (!CanWrite(owner, file).value_or(false)) return 1;
  if (mount("none", place.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return 2;
  if (CanWrite(owner, file).value_or(true) || CanWrite(owner, place).value_or(true)) return 1;
  owner.capabilities = Capability("CAP_SYS_ADMIN");  // It could mount it again.
  return CanWrite(owner, file).value_or(false) ? 0 : 1;
}

TEST_CASE("nothing on a read-only mount can be written, not even by its owner") {
  const TemporaryDirectory base;
  const std::string place = base / "mount";
  REQUIRE(mkdir(place.c_str(), 0755) == 0);
  const pid_t child = fork();
  if (child == 0) _exit(TryReadOnlyMount(place));
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) {
    WARN("not shown: this user may make no mounts");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace shadow
