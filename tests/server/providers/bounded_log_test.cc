// A log that never exceeds its bound, and begins with a line.
#include "server/holder/bounded_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// A file of that text, open as a holder has it.
class LogFile {
 public:
  explicit LogFile(const std::string& text) {
    WriteFile(path_, text);
    fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() { close(fd_); }

  int fd() const { return fd_; }
  std::string Text() const { return ReadText(path_); }

 private:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "log";
  int fd_ = -1;
};

TEST_CASE("a log is cut to its last half of the bound, from the beginning of a line") {
  struct Row {
    std::string text;
    off_t max_bytes;
    std::string left;
  };
  const std::string lines(20'000, 'x');
  const std::vector<Row> rows = {
      {"one\ntwo\nthree\n", 20, "two\nthree\n"},  // The last 10 begin with "two".
      {"one\ntwo\nthree\n", 18, "three\n"},       // The last 9 begin within it.
      {"one\ntwo\nthree\n", 4, "e\n"},            // No line begins in the last 2.
      {"abcdefghij", 6, "hij"},
      {"", 8, ""},
      {lines + "\n" + lines + "\n", 60'000, lines + "\n"},
      {lines + "\n" + lines + "\n", 20'000, lines.substr(0, 9'999) + "\n"},
  };
  for (const Row& row : rows) {
    const LogFile log(row.text);
    CAPTURE(row.text.size(), row.max_bytes);
    CHECK(CutLog(log.fd(), row.max_bytes) == static_cast<off_t>(row.left.size()));
    CHECK(log.Text() == row.left);
  }
}

TEST_CASE("what is appended to a log never takes it over its bound") {
  const LogFile log("");
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    AppendToLog(log.fd(), line.data(), line.size(), 200);
    all += line;
    const std::string text = log.Text();
    REQUIRE(text.size() <= 200);
    REQUIRE(all.ends_with(text));
    REQUIRE(text.starts_with("line "));
  }
  // Whoever has made it longer or shorter meanwhile does no harm.
  REQUIRE(ftruncate(log.fd(), 1 << 20) == 0);
  AppendToLog(log.fd(), "end\n", 4, 200);
  CHECK(log.Text().size() == 104);
  REQUIRE(ftruncate(log.fd(), 0) == 0);
  AppendToLog(log.fd(), "end\n", 4, 200);
  CHECK(log.Text() == "end\n");
}

}  // namespace
}  // namespace shadow
