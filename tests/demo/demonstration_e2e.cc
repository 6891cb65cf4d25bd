// The demonstration as a whole, cut short: real daemon, real HAProxy, real workers.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "server/core/clock.h"
#include "tests/demo/director/interrupt.h"
#include "tests/demo/director/programs.h"
#include "tests/fakes/poll.h"

namespace shadow::demo {
namespace {

constexpr absl::Duration kRunTimeout = absl::Minutes(2);
constexpr absl::Duration kCleanUpTimeout = absl::Seconds(40);

// The demonstration's TMPDIR, and what is left in it.
class Surroundings {
 public:
  Surroundings() {
    path_ = (std::filesystem::temp_directory_path() / "demo-XXXXXX").string();
    REQUIRE(mkdtemp(path_.data()) != nullptr);
    std::filesystem::create_directory(Temporary());
  }
  ~Surroundings() { std::filesystem::remove_all(path_); }

  std::string Temporary() const { return path_ + "/tmp"; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  std::vector<std::string> Command(std::vector<std::string> flags) const {
    std::vector<std::string> argv = {"env", "TMPDIR=" + Temporary(), SHADOW_BIN_DIR "/shadow-demo"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return argv;
  }

  // Daemons inherit TMPDIR, workers work in the demonstration's directory.
  size_t ProcessesLeft() const {
    size_t left = ProcessesWithEnvironment("TMPDIR=" + Temporary()).size();
    std::error_code error;
    for (const auto& item : std::filesystem::directory_iterator("/proc", error)) {
      const auto directory = std::filesystem::read_symlink(item.path() / "cwd", error);
      if (directory.string().rfind(Temporary(), 0) == 0) ++left;
    }
    return left;
  }
  bool FilesLeft() const { return !std::filesystem::is_empty(Temporary()); }

 private:
  std::string path_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// The number behind `key` in the object behind `section`.
double NumberOf(const std::string& json, const std::string& section, const std::string& key) {
  const size_t begin = json.find("\"" + section + "\": {");
  REQUIRE(begin != std::string::npos);
  const std::string quoted = "\"" + key + "\": ";
  const size_t at = json.find(quoted, begin);
  REQUIRE(at != std::string::npos);
  return std::strtod(json.c_str() + at + quoted.size(), nullptr);
}

TEST_CASE("with shadows a steep rise fails no request and is served faster than without") {
  const SystemClock clock;
  const Surroundings surroundings;
  Interrupt interrupt;
  const auto output =
      RunToEnd(surroundings.Command({"--steps", "14", "--report", surroundings / "report.json"}),
               surroundings / "log", kRunTimeout, clock, interrupt);
  INFO(output.status().message());
  REQUIRE(output.ok());
  INFO(*output);
  const std::string report = ReadAll(surroundings / "report.json");
  CHECK(NumberOf(report, "with_shadow", "requests") > 1000);
  CHECK(NumberOf(report, "with_shadow", "failed") == 0);
  CHECK(NumberOf(report, "with_shadow", "wakes") > 0);
  CHECK(NumberOf(report, "without_shadow", "wakes") == 0);
  CHECK(NumberOf(report, "without_shadow", "cold_starts") > 0);
  CHECK(NumberOf(report, "with_shadow", "latency_p99_ms") <
        NumberOf(report, "without_shadow", "latency_p99_ms") / 2);
  CHECK(surroundings.ProcessesLeft() == 0);
  CHECK_FALSE(surroundings.FilesLeft());
}

TEST_CASE("a report that cannot be written is an error before anything is run") {
  const SystemClock clock;
  const Surroundings surroundings;
  Interrupt interrupt;
  const auto output =
      RunToEnd(surroundings.Command({"--report", surroundings / "none/report.json"}),
               surroundings / "log", absl::Seconds(10), clock, interrupt);
  CHECK_THAT(std::string(output.status().message()),
             Catch::Contains("cannot write " + (surroundings / "none/report.json")));
}

TEST_CASE("an interrupted demonstration leaves nothing behind") {
  const Surroundings surroundings;
  auto demonstration = Program::Start(surroundings.Command({}), surroundings / "log");
  REQUIRE(demonstration.ok());
  // A line every two seconds; the shadow has been there since the first step.
  PollUntil(kRunTimeout, [&] {
    const std::string log = ReadAll(surroundings / "log");
    return log.find("step  4") != std::string::npos || log.find("step  5") != std::string::npos;
  });
  CHECK(surroundings.ProcessesLeft() > 3);
  kill((*demonstration)->pid(), SIGINT);
  PollUntil(kCleanUpTimeout, [&] { return !(*demonstration)->Running(); });
  INFO(ReadAll(surroundings / "log"));
  REQUIRE_FALSE((*demonstration)->Running());
  CHECK((*demonstration)->Description() == "exit status 130");
  CHECK(surroundings.ProcessesLeft() == 0);
  CHECK_FALSE(surroundings.FilesLeft());
}

}  // namespace
}  // namespace shadow::demo
