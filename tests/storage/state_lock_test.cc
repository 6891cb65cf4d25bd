#include "storage/state_lock.h"

#include <sys/stat.h>

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

TEST_CASE("a directory that others may write is refused, and a link is not written through") {
  const TempDirectory parent;
  const std::string directory = parent.File("state");
  std::filesystem::create_directory(directory);
  std::filesystem::permissions(directory, std::filesystem::perms::all);
  const absl::Status open = StateLock::Take(directory).status();
  CHECK(absl::IsFailedPrecondition(open));
  CHECK_THAT(std::string(open.message()), Catch::Matchers::StartsWith(directory));

  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  std::ofstream(parent.File("precious")) << "kept";
  std::filesystem::create_symlink(parent.File("precious"), directory + "/lock");
  CHECK_FALSE(StateLock::Take(directory).ok());
  CHECK(ReadFile(parent.File("precious")) == "kept");
}

TEST_CASE("a directory that cannot be made is an error that names it") {
  const TempDirectory parent;
  const absl::Status status = StateLock::Take(parent.File("a/b")).status();
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(parent.File("a/b")));
}

}  // namespace
}  // namespace shadow
