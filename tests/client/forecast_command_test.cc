// shadowctl forecast against a daemon, over real gRPC.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"
#include "tests/client/some_forecast.h"

namespace shadow {
namespace {

using Json = nlohmann::ordered_json;

// With SomeForecast of pool web.
void Fill(DaemonState& state) {
  state.forecast = SomeForecast();
  v1::Pool& pool = state.pools["pools/web"];
  pool.set_name("pools/web");
  pool.set_demand_unit("requests/s");
}

// A directory of the test's own, removed with all that is in it.
class Directory {
 public:
  Directory() {
    std::string made = (std::filesystem::temp_directory_path() / "shadowctl-XXXXXX").string();
    REQUIRE(mkdtemp(made.data()) != nullptr);
    path_ = made;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("a forecast is plotted with its unit and as much history as there is forecast") {
  FakeDaemon daemon;
  Fill(daemon.state);
  daemon.state.forecast.mutable_points()->DeleteSubrange(3, 1);  // Three steps remain.
  const Ran ran = Run(daemon, {"forecast", "web", "--horizon", "6h"});
  CHECK(ran.exit_code == 0);
  CHECK_THAT(ran.out, Catch::StartsWith("pools/web, requests/s\n40 |\n   |   ...\n") &&
                          Catch::Contains("\n 0 +---^--\n"));
  CHECK(daemon.state.get_forecast.horizon().seconds() == 6 * 3600);
  CHECK(daemon.state.get_forecast.history_steps() == 2016);
  CHECK_THAT(Run(daemon, {"forecast", "web", "--history", "4"}).out,
             Catch::Contains("\n 0 +----^--\n"));
  CHECK(daemon.state.get_forecast.history_steps() == 4);
  Run(daemon, {"forecast", "web", "--history", "0"});
  CHECK(daemon.state.get_forecast.history_steps() == 0);
}

TEST_CASE("blocks are for terminals in UTF-8, colours for terminals that want them") {
  FakeDaemon daemon;
  Fill(daemon.state);
  const auto out = [&](RunOptions options) {
    options.address = daemon.address();
    return RunCommandLine({"forecast", "web"}, options).out;
  };
  CHECK_THAT(out({.input = "", .address = "", .terminal = true}),
             Catch::Contains("▓") && !Catch::Contains("\x1b"));
  CHECK_THAT(out({.input = "", .address = "", .terminal = true, .utf8 = false}),
             Catch::Contains("o median") && !Catch::Contains("▓"));
  CHECK_THAT(out({.input = "", .address = ""}),
             Catch::Contains("o median") && !Catch::Contains("▓"));
  CHECK_THAT(out({.input = "", .address = "", .terminal = true, .colour = true}),
             Catch::Contains("\x1b[33m▓\x1b[0m median"));
}

TEST_CASE("a forecast is printed as CSV, JSON or SVG") {
  FakeDaemon daemon;
  Fill(daemon.state);
  CHECK_THAT(Run(daemon, {"forecast", "web", "-o", "csv"}).out,
             Catch::StartsWith("timestamp,history,q0.05,q0.5,q0.95\n1970-01-01T00:00:00Z,10,,,\n"));
  CHECK(daemon.state.get_forecast.history_steps() == 0);
  CHECK(daemon.state.calls == std::vector<std::string>{"GetForecast"});
  const Json json = Json::parse(Run(daemon, {"forecast", "web", "-o", "json"}).out);
  CHECK(json["points"].size() == 4);
  CHECK_THAT(Run(daemon, {"forecast", "web", "-o", "svg"}).out,
             Catch::StartsWith("<svg ") && Catch::Contains("pools/web, requests/s") &&
                 Catch::EndsWith("</svg>\n"));
  CHECK(daemon.state.get_forecast.history_steps() == 2016);
}

TEST_CASE("a forecast is saved to a file whose name or -o says the format") {
  FakeDaemon daemon;
  Fill(daemon.state);
  const Directory directory;
  const struct {
    const char* file;
    const char* output;
  } table[] = {{"web.csv", "csv"}, {"web.json", "json"}, {"web.SVG", "svg"}};
  for (const auto& row : table) {
    INFO(row.file);
    const std::string path = directory.File(row.file);
    const Ran saved = Run(daemon, {"forecast", "web", "--save", path});
    CHECK(saved.exit_code == 0);
    CHECK(saved.out.empty());
    const std::string printed = Run(daemon, {"forecast", "web", "-o", row.output}).out;
    CHECK_FALSE(printed.empty());
    CHECK(Contents(path) == printed);
  }
  const std::string path = directory.File("web.csv");
  CHECK(Run(daemon, {"forecast", "web", "-o", "svg", "--save", path}).exit_code == 0);
  CHECK_THAT(Contents(path), Catch::StartsWith("<svg "));
}

TEST_CASE("a forecast that cannot be had or saved is an error and leaves the file alone") {
  FakeDaemon daemon;
  Fill(daemon.state);
  const Directory directory;
  Ran ran = Run(daemon, {"forecast", "web", "--save", "web.txt"});
  CHECK(ran.exit_code == 2);
  CHECK(ran.err ==
        "error: INVALID_ARGUMENT: --save: \"web.txt\" does not end in .csv, .json or .svg; say the "
        "format with -o\n");
  CHECK(daemon.state.calls.empty());
  ran = Run(daemon, {"forecast", "web", "--save", directory.File("missing/web.svg")});
  CHECK(ran.exit_code == 2);
  CHECK_THAT(ran.err, Catch::StartsWith("error: INVALID_ARGUMENT: --save: cannot write \""));
  daemon.state.pools.clear();
  const std::string path = directory.File("web.svg");
  CHECK(Run(daemon, {"forecast", "web", "--save", path}).exit_code == 3);
  CHECK_FALSE(std::filesystem::exists(path));
  if (std::filesystem::exists("/dev/full")) {
    ran = Run(daemon, {"forecast", "web", "-o", "csv", "--save", "/dev/full"});
    CHECK(ran.err == "error: DATA_LOSS: --save: writing \"/dev/full\" failed\n");
  }
}

}  // namespace
}  // namespace shadow
