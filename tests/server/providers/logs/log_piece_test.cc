// A log in pieces, while others do to its file what they like.
#include "server/providers/logs/log_piece.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/providers/process_log.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

constexpr std::uintmax_t kHugeBytes = std::uintmax_t{1} << 40U;  // Sparse, so it takes no space.

// What comes after `offset`, which moves on.
LogPiece Follow(const std::string& path, int64_t& offset) {
  const auto piece = ReadLogPiece(path, {.offset = offset, .bytes_max = 1000});
  REQUIRE(piece.ok());
  offset = piece->next_offset;
  return *piece;
}

TEST_CASE("a log begins with its last bytes and goes on where a piece ended") {
  const TemporaryDirectory directory;
  const std::string path = directory / "log";
  WriteFile(path, "0123456789");
  const auto start = ReadLogPiece(path, {.bytes_max = 4});
  REQUIRE(start.ok());
  CHECK(start->data == "6789");
  CHECK(start->next_offset == 10);
  CHECK_FALSE(start->gap);
  const auto part = ReadLogPiece(path, {.offset = 2, .bytes_max = 3});
  REQUIRE(part.ok());
  CHECK(part->data == "234");
  CHECK(part->next_offset == 5);
  const auto none = ReadLogPiece(path, {.bytes_max = 0});
  REQUIRE(none.ok());
  CHECK(none->data.empty());
  CHECK(none->next_offset == 10);
  CHECK(absl::IsNotFound(ReadLogPiece(directory / "missing", {.bytes_max = 4}).status()));
}

TEST_CASE("a log that is cut, or rotated, while it is followed has a gap and goes on") {
  const TemporaryDirectory directory;
  const std::string path = directory / "log";
  WriteFile(path, "a long first line\n");
  int64_t offset = 0;
  CHECK(Follow(path, offset).data == "a long first line\n");
  CHECK(Follow(path, offset).data.empty());
  WriteFile(path, "cut\n");
  LogPiece piece = Follow(path, offset);
  CHECK(piece.gap);
  CHECK(piece.data.empty());
  CHECK(offset == 4);
  std::ofstream(path, std::ios::app) << "after\n";
  piece = Follow(path, offset);
  CHECK_FALSE(piece.gap);
  CHECK(piece.data == "after\n");

  std::filesystem::rename(path, path + ".1");
  CHECK(absl::IsNotFound(ReadLogPiece(path, {.offset = offset, .bytes_max = 9}).status()));
  WriteFile(path, "new\n");
  CHECK(Follow(path, offset).gap);
  std::ofstream(path, std::ios::app) << "goes on\n";
  CHECK(Follow(path, offset).data == "goes on\n");
}

TEST_CASE("of a huge log no more is read than was asked for") {
  const TemporaryDirectory directory;
  const std::string path = directory / "log";
  WriteFile(path, "begin");
  std::filesystem::resize_file(path, kHugeBytes);
  std::ofstream(path, std::ios::app) << "\nthe end";
  auto piece = ReadLogPiece(path, {.bytes_max = 7});
  REQUIRE(piece.ok());
  CHECK(piece->data == "the end");
  CHECK(piece->next_offset == static_cast<int64_t>(kHugeBytes) + 8);
  piece = ReadLogPiece(path, {.offset = 0, .bytes_max = 5});
  REQUIRE(piece.ok());
  CHECK(piece->data == "begin");
  CHECK(LastOutput(path, {}) == "the end");
  REQUIRE(CapLog(path, 100).ok());
  CHECK(ReadText(path) == "the end");
}

TEST_CASE("what is no plain file is read by nobody, and nobody waits for it") {
  const TemporaryDirectory directory;
  const std::string secret = directory / "secret";
  WriteFile(secret, "a password that is longer than the log may be\n");
  const std::string fifo = directory / "fifo";
  const std::string link = directory / "link";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE(symlink(secret.c_str(), link.c_str()) == 0);
  for (const std::string& path : {fifo, link, directory.path()}) {
    CAPTURE(path);
    const auto piece = ReadLogPiece(path, {.bytes_max = 100});
    CHECK_FALSE(piece.ok());
    CHECK_FALSE(absl::IsNotFound(piece.status()));  // That would be the end of the instance.
    CHECK(LastOutput(path, {}).empty());
  }
  CHECK(CapLog(fifo, 10).ok());
  CHECK_FALSE(CapLog(link, 10).ok());
  CHECK_FALSE(OpenLog(link).ok());
  CHECK(ReadText(secret).starts_with("a password"));
}

}  // namespace
}  // namespace shadow
