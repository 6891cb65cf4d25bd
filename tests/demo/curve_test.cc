#include "tests/demo/curve.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace shadow::demo {
namespace {

class TempFile {
 public:
  explicit TempFile(const std::string& content) {
    std::string name = std::filesystem::temp_directory_path() / "curve-XXXXXX";
    const int fd = mkstemp(name.data());
    if (fd >= 0) close(fd);
    path_ = name;
    std::ofstream(path_) << content;
  }
  ~TempFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("a curve is the last column, with or without a header") {
  CHECK(*ReadCurve(TempFile("timestamp,value\nx,1\ny,2.5\n").path()) ==
        std::vector<double>{1, 2.5});
  CHECK(*ReadCurve(TempFile("3\r\n4\r\n").path()) == std::vector<double>{3, 4});
}

TEST_CASE("a curve that is none is refused with its line") {
  const auto message = [](const std::string& content) {
    const auto curve = ReadCurve(TempFile(content).path());
    return curve.ok() ? std::string() : std::string(curve.status().message());
  };
  CHECK(message("value\n1\nx\n").find(":3: \"x\"") != std::string::npos);
  CHECK(message("value\n-1\n").find(":2: \"-1\"") != std::string::npos);
  CHECK(message("value\nnan\n").find(":2: \"nan\"") != std::string::npos);
  CHECK(message("value\n").find("no rows") != std::string::npos);
  CHECK(ReadCurve("/nonexistent").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("scaling keeps the shape and sets the peak") {
  CHECK(*ScaleToPeak({1, 2, 4}, 100) == std::vector<double>{25, 50, 100});
  CHECK_FALSE(ScaleToPeak({0, 0}, 100).ok());
}

TEST_CASE("arrivals follow the rates, carry fractions and repeat with their seed") {
  const absl::Duration step = absl::Seconds(1);
  const auto arrivals = Arrivals({2.5, 2.5, 0, 3}, step, 7);
  REQUIRE(arrivals.size() == 8);
  CHECK(arrivals[1] < step);
  CHECK(arrivals[2] >= step);
  CHECK(arrivals[4] < step * 2);
  CHECK(arrivals[5] >= step * 3);
  CHECK(std::is_sorted(arrivals.begin(), arrivals.end()));
  CHECK(arrivals == Arrivals({2.5, 2.5, 0, 3}, step, 7));
  CHECK(arrivals != Arrivals({2.5, 2.5, 0, 3}, step, 8));
}

TEST_CASE("history is written one row a step and ends at the step asked for") {
  const TempFile file("");
  const absl::Time last = absl::FromUnixSeconds(1'600'000'000);
  REQUIRE(WriteHistory(file.path(), {1, 2.5}, last, absl::Seconds(1)).ok());
  std::ifstream in(file.path());
  std::stringstream content;
  content << in.rdbuf();
  CHECK(content.str() ==
        "timestamp,value\n2020-09-13T12:26:39+00:00,1.000\n2020-09-13T12:26:40+00:00,2.500\n");
}

TEST_CASE("the bundled trace has 16 days of 48 steps") {
  const auto curve = ReadCurve(SHADOW_SOURCE_DIR "/tests/data/demand_30m.csv");
  REQUIRE(curve.ok());
  CHECK(curve->size() == 16 * 48);
}

}  // namespace
}  // namespace shadow::demo
