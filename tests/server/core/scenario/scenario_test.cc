// Every file of tests/scenarios does what it says. SHADOWD_REWRITE_SCENARIOS=1 makes it say what it
// does.
#include "tests/server/core/scenario/scenario.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace shadow {
namespace {

std::vector<std::filesystem::path> ScenarioFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(SHADOW_SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("every scenario decides what its file says") {
  const bool rewrites = std::getenv("SHADOWD_REWRITE_SCENARIOS") != nullptr;
  const auto files = ScenarioFiles();
  REQUIRE_FALSE(files.empty());
  for (const std::filesystem::path& path : files) {
    DYNAMIC_SECTION(path.stem().string()) {
      auto commands = ParseScenario(ReadFile(path));
      REQUIRE(commands.status() == absl::OkStatus());
      Scenario scenario;
      for (ScenarioCommand& command : *commands) {
        INFO(path.string() << ":" << command.line << ": " << command.source);
        const std::string printed = scenario.Run(command);
        if (!rewrites) CHECK(printed == command.expected);
        command.expected = printed;
      }
      if (rewrites) std::ofstream(path) << FormatScenario(*commands);
    }
  }
}

TEST_CASE("a scenario file is read and written again as it was") {
  const std::string text =
      "# Why.\n\npool web\n    external_capacity: 1\n    policy {}\n----\n\nrun 1h all\n----\none\n"
      "  two\n";
  const auto commands = ParseScenario(text);
  REQUIRE(commands.ok());
  REQUIRE(commands->size() == 2);
  CHECK((*commands)[0].line == 3);
  CHECK((*commands)[0].body == "    external_capacity: 1\n    policy {}\n");
  CHECK((*commands)[0].expected.empty());
  CHECK((*commands)[1].words == std::vector<std::string>{"run", "1h", "all"});
  CHECK((*commands)[1].expected == "one\n  two\n");
  CHECK(FormatScenario(*commands) == text);
}

TEST_CASE("a scenario file that is none is refused with the line") {
  for (const char* text : {"run 1h\n", "run 1h\nnothing\n", "  indented\n----\n", "----\n",
                           "run 1h\n----\n\n# The end.\n"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseScenario(text).status()));
  }
}

TEST_CASE("a command that there is not, or that lacks a word, is refused") {
  Scenario scenario;
  CHECK_THROWS_AS(scenario.Run({.words = {"fly"}}), std::invalid_argument);
  CHECK_THROWS_AS(scenario.Run({.words = {"run"}}), std::invalid_argument);
  CHECK_THROWS_AS(scenario.Run({.words = {"run", "far"}}), std::invalid_argument);
  CHECK_THROWS_AS(scenario.Run({.words = {"demand", "web", "round", "1"}}), std::invalid_argument);
}

}  // namespace shadow
