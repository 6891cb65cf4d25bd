#include "storage/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/storage/child_process.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::EndsWith;

TEST_CASE("a directory is locked once, and the conflict names the holder's pid") {
  const TempDirectory parent;
  const std::string directory = parent.File("state");
  ChildProcess holder([&](int fd) {
    const auto lock = StateLock::Take(directory);
    if (!lock.ok() || !ChildProcess::Report(fd, 1)) return 1;
    while (true) pause();
  });
  int64_t held = 0;
  REQUIRE(holder.Receive(held));
  struct stat info;
  REQUIRE(stat(directory.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);

  const absl::Status conflict = StateLock::Take(directory).status();
  CHECK(conflict.code() == absl::StatusCode::kAlreadyExists);
  CHECK_THAT(std::string(conflict.message()), EndsWith("pid " + std::to_string(holder.pid())));

  holder.Kill();
  const auto lock = StateLock::Take(directory);
  REQUIRE(lock.ok());
  CHECK(ReadFile(directory + "/lock") == std::to_string(getpid()) + "\n");
}

TEST_CASE("a lock is free again when its object is gone") {
  const TempDirectory directory;
  {
    const auto lock = StateLock::Take(directory.path());
    REQUIRE(lock.ok());
    CHECK(absl::IsAlreadyExists(StateLock::Take(directory.path()).status()));
  }
  CHECK(StateLock::Take(directory.path()).ok());
  CHECK(std::filesystem::exists(directory.File("lock")));
}

TEST_CASE("two directories are locked side by side") {
  const TempDirectory one;
  const TempDirectory other;
  const auto first = StateLock::Take(one.path());
  const auto second = StateLock::Take(other.path());
  CHECK(first.ok());
  CHECK(second.ok());
}

TEST_CASE("a removed lock file does not unlock the directory") {
  const TempDirectory directory;
  const auto lock = StateLock::Take(directory.path());
  REQUIRE(lock.ok());
  REQUIRE(std::filesystem::remove(directory.File("lock")));
  CHECK(absl::IsAlreadyExists(StateLock::Take(directory.path()).status()));
}

TEST_CASE("a lock that an older daemon holds, on the file alone, counts") {
  const TempDirectory directory;
  const int fd = open(directory.File("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(flock(fd, LOCK_EX | LOCK_NB) == 0);
  CHECK(absl::IsAlreadyExists(StateLock::Take(directory.path()).status()));
  close(fd);
  CHECK(StateLock::Take(directory.path()).ok());
}

TEST_CASE(
    "a directory that is not its owner's alone is refused, with its mode and what was wanted") {
  const TempDirectory parent;
  const std::string directory = parent.File("state");
  REQUIRE(mkdir(directory.c_str(), 0700) == 0);
  struct Row {
    mode_t mode;
    bool taken;
  };
  for (const Row& row : {Row{0777, false}, Row{0770, false}, Row{0720, false}, Row{01702, false},
                         Row{0755, true}, Row{0750, true}, Row{0700, true}}) {
    REQUIRE(chmod(directory.c_str(), row.mode) == 0);
    const absl::Status status = StateLock::Take(directory).status();
    INFO(status);
    CHECK(status.ok() == row.taken);
    if (row.taken) continue;
    CHECK(absl::IsFailedPrecondition(status));
    const std::string message(status.message());
    CHECK_THAT(message, Catch::Matchers::StartsWith(directory + " has mode "));
    CHECK_THAT(message, Catch::Matchers::Contains("wanted a state directory that only its owner"));
  }
  if (geteuid() != 0) return;
  REQUIRE(chown(directory.c_str(), 12345, 12345) == 0);
  const absl::Status status = StateLock::Take(directory).status();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("uid 12345; wanted uid 0"));
}

TEST_CASE("what is in the way is refused for good, and a link is not written through") {
  const TempDirectory parent;
  const std::string file = parent.File("file");
  std::ofstream(file) << "kept";
  CHECK(absl::IsFailedPrecondition(StateLock::Take(file).status()));

  const std::string directory = parent.File("state");
  REQUIRE(mkdir(directory.c_str(), 0700) == 0);
  std::ofstream(parent.File("precious")) << "kept";
  std::filesystem::create_symlink(parent.File("precious"), directory + "/lock");
  CHECK(absl::IsFailedPrecondition(StateLock::Take(directory).status()));
  CHECK(ReadFile(parent.File("precious")) == "kept");
  std::filesystem::remove(directory + "/lock");
  REQUIRE(mkdir((directory + "/lock").c_str(), 0700) == 0);
  CHECK(absl::IsFailedPrecondition(StateLock::Take(directory).status()));
}

TEST_CASE("a directory that cannot be made is an error that names it") {
  const TempDirectory parent;
  const absl::Status status = StateLock::Take(parent.File("a/b")).status();
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(parent.File("a/b")));
}

}  // namespace
}  // namespace shadow
