// The ballast, and when room is low.
#include "storage/room/room.h"

#include <sys/stat.h>

#include <cerrno>

#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using storage::Ballast;

constexpr int64_t kSlice = Ballast::kSliceBytes;
constexpr int64_t kBallast = 4 * kSlice;
constexpr int64_t kPlenty = int64_t{1} << 30;

int64_t AllocatedBytes(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_blocks * 512 : 0;
}

// A room on a disk of which `free` says what is free.
Room RoomWith(const TempDirectory& directory, int64_t& free) {
  return Room(directory.path(), kBallast, [&free](const std::string&) { return free; });
}

TEST_CASE("a ballast holds its bytes back, gives them up by the slice, and is filled again") {
  const TempDirectory directory;
  const std::string path = directory.File("ballast");
  Ballast ballast(path, kBallast);
  CHECK(ballast.missing_bytes() == kBallast);
  CHECK_FALSE(ballast.Release());
  REQUIRE(ballast.Fill().ok());
  CHECK(ballast.whole());
  CHECK(AllocatedBytes(path) >= kBallast);
  REQUIRE(ballast.Release());
  CHECK(ballast.missing_bytes() == kSlice);
  CHECK(AllocatedBytes(path) < kBallast);

  Ballast next(path, kBallast);  // Of the next daemon.
  CHECK(next.bytes() == 3 * kSlice);
  for (int i = 0; i < 3; ++i) CHECK(next.Release());
  CHECK_FALSE(next.Release());
  REQUIRE(next.Fill().ok());
  CHECK(AllocatedBytes(path) >= kBallast);
}

TEST_CASE("a ballast that somebody removes is missing, and made again") {
  const TempDirectory directory;
  Ballast ballast(directory.File("ballast"), kBallast);
  REQUIRE(ballast.Fill().ok());
  std::filesystem::remove(directory.File("ballast"));
  CHECK_FALSE(ballast.Release());
  CHECK(ballast.missing_bytes() == kBallast);
  CHECK(ballast.Fill().ok());
}

TEST_CASE("a link in the place of the ballast is not followed") {
  const TempDirectory directory;
  std::ofstream(directory.File("other")) << "text";
  std::filesystem::create_symlink(directory.File("other"), directory.File("ballast"));
  Ballast ballast(directory.File("ballast"), kBallast);
  CHECK_FALSE(ballast.Fill().ok());
  CHECK_FALSE(ballast.Release());
  CHECK(ReadFile(directory.File("other")) == "text");
}

TEST_CASE("a ballast is made only where enough is left beside it") {
  const TempDirectory directory;
  int64_t free = kBallast + Room::kLowBytes - 1;
  Room room = RoomWith(directory, free);
  CHECK_FALSE(room.ballast_is_whole());
  CHECK(room.last().low);
  CHECK(room.last().scarce);
  CHECK(room.last().wanted_bytes == kBallast + Room::kAmpleBytes);
  ++free;
  room.LookNow();
  CHECK(room.ballast_is_whole());
}

TEST_CASE("room is low from the first slice on, until there was ample room for some looks") {
  const TempDirectory directory;
  int64_t free = kPlenty;
  Room room = RoomWith(directory, free);
  CHECK_FALSE(room.LookNow().low);
  free = 0;
  REQUIRE(room.Release());
  CHECK(room.last().low);
  CHECK_FALSE(room.last().scarce);
  REQUIRE(room.Release());
  REQUIRE(room.Release());
  CHECK(room.last().scarce);
  CHECK(room.LookNow().wanted_bytes == 3 * kSlice + Room::kAmpleBytes);

  free = 3 * kSlice + Room::kAmpleBytes;
  for (int look = 1; look < Room::kAmpleLooks; ++look) CHECK(room.LookNow().low);
  free = 0;  // A log that fills the disk again.
  CHECK(room.LookNow().low);
  free = Room::kAmpleBytes;
  for (int look = 1; look < Room::kAmpleLooks; ++look) CHECK(room.LookNow().low);
  CHECK_FALSE(room.LookNow().low);
  CHECK(room.ballast_is_whole());
}

TEST_CASE("room is low before anything fails, and between the two marks as it was") {
  const TempDirectory directory;
  int64_t free = kPlenty;
  Room room = RoomWith(directory, free);
  free = Room::kLowBytes;
  CHECK_FALSE(room.LookNow().low);
  free = Room::kLowBytes - 1;
  CHECK(room.LookNow().low);
  CHECK(room.ballast_is_whole());
  free = Room::kAmpleBytes - 1;
  for (int look = 0; look < 2 * Room::kAmpleLooks; ++look) CHECK(room.LookNow().low);
}

TEST_CASE("a disk that does not say what is free changes nothing") {
  const TempDirectory directory;
  absl::StatusOr<int64_t> free = kPlenty;
  Room room(directory.path(), kBallast, [&free](const std::string&) { return free; });
  free = absl::UnavailableError("I/O");
  CHECK_FALSE(room.LookNow().low);
  CHECK(room.LookNow().free_bytes == kPlenty);
  CHECK_FALSE(room.ReleaseIfFull());
}

TEST_CASE("only an error that a full disk explains takes from the ballast") {
  const TempDirectory directory;
  int64_t free = kPlenty;
  const Room room = RoomWith(directory, free);
  CHECK(room.Explains(absl::ResourceExhaustedError("full")));
  CHECK_FALSE(room.Explains(absl::UnavailableError("I/O")));
  CHECK_FALSE(room.Explains(absl::OkStatus()));
  free = 0;
  CHECK(room.Explains(absl::UnavailableError("I/O")));
  CHECK_FALSE(room.Explains(absl::DataLossError("damaged")));
  CHECK_FALSE(room.Explains(absl::OkStatus()));
}

TEST_CASE("a write outside of the store takes a slice only of a full disk") {
  const TempDirectory directory;
  int64_t free = kPlenty;
  Room room = RoomWith(directory, free);
  CHECK_FALSE(room.ReleaseIfFull());
  CHECK(room.ballast_is_whole());
  free = 0;
  CHECK(room.ReleaseIfFull());
  CHECK_FALSE(room.ballast_is_whole());
}

TEST_CASE("a quota that is used up is a full disk, though the file system has room") {
  const TempDirectory directory;
  bool refuses = false;
  Room room(
      directory.path(), kBallast, [](const std::string&) { return kPlenty; },
      [&refuses](const std::string& where, int64_t bytes) {
        return refuses && !where.empty() && bytes == kSlice;
      });
  CHECK_FALSE(room.ReleaseIfFull());
  CHECK_FALSE(room.Explains(absl::UnavailableError("I/O")));
  refuses = true;
  CHECK(room.Explains(absl::ResourceExhaustedError("quota")));
  CHECK(room.Explains(absl::UnavailableError("I/O")));
  for (int64_t left = kBallast; left > 0; left -= kSlice) CHECK(room.ReleaseIfFull());
  CHECK_FALSE(room.ReleaseIfFull());
  CHECK(room.last().scarce);
}

TEST_CASE("whether bytes are refused is asked of the file system, and nothing is left behind") {
  const TempDirectory directory;
  CHECK_FALSE(Room::RefusesBytes(directory.path(), kSlice));
  CHECK(std::filesystem::is_empty(directory.path()));
  CHECK_FALSE(Room::RefusesBytes(directory.File("none"), kSlice));  // That is not want of room.
}

TEST_CASE("a write that a quota refuses is one that a full disk refuses") {
  for (const int error : {ENOSPC, EDQUOT}) {
    CHECK(absl::IsResourceExhausted(absl::ErrnoToStatus(error, "write")));
  }
}

TEST_CASE("what is free is what statvfs says") {
  const TempDirectory directory;
  const auto free = Room::FreeBytesOf(directory.path());
  REQUIRE(free.ok());
  CHECK(*free > 0);
  CHECK_FALSE(Room::FreeBytesOf(directory.File("none")).ok());
}

}  // namespace
}  // namespace shadow
