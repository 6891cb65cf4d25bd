// What goes wrong before a daemon is asked.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

Ran RunOffline(const std::vector<std::string>& arguments) {
  return RunCommandLine(arguments, {.input = "", .address = "unix:/nonexistent/s"});
}

TEST_CASE("mistakes on the command line are errors of usage and name the flag") {
  const struct {
    std::vector<std::string> arguments;
    const char* error;
  } table[] = {
      {{}, "error: INVALID_ARGUMENT: A subcommand is required\n"},
      {{"nonsense"},
       "error: INVALID_ARGUMENT: \"nonsense\" is not a command of `shadowctl`; wanted one of dna, "
       "pool, shadow, "},
      {{"pool", "sink", "web"},
       "error: INVALID_ARGUMENT: \"sink\" is not a command of `shadowctl pool`; wanted one of "
       "create, get, "},
      {{"pool", "--bogus"}, "error: INVALID_ARGUMENT: A subcommand is required\n"},
      {{"pool", "get"}, "error: INVALID_ARGUMENT: NAME is required\n"},
      {{"pool", "get", "web", "--bogus"}, "error: INVALID_ARGUMENT: "},
      {{"shadow", "create", "web"}, "error: INVALID_ARGUMENT: --increase is required\n"},
      {{"shadow", "activate", "web", "--level", "high"},
       "error: INVALID_ARGUMENT: --level: wanted a whole number, found \"high\"\n"},
      {{"shadow", "activate", "web", "--level", "50.5"},
       "error: INVALID_ARGUMENT: --level: wanted a whole number, found \"50.5\"\n"},
      {{"shadow", "create", "web", "--increase", "1k"},
       "error: INVALID_ARGUMENT: --increase: wanted a number, found \"1k\"\n"},
      {{"shadow", "activate", "web", "--level", ""},
       "error: INVALID_ARGUMENT: --level: wanted a whole number, found nothing\n"},
      {{"shadow", "create", "web", "--increase", ""},
       "error: INVALID_ARGUMENT: --increase: wanted a number, found nothing\n"},
      {{"pool", "get", "\xff"}, "error: INVALID_ARGUMENT: NAME: \"\uFFFD\" is not valid UTF-8\n"},
      {{"pool", "list", "-o", "xml"}, "error: INVALID_ARGUMENT: --output: xml not in "},
      {{"pool", "list", "--wait"},
       "error: INVALID_ARGUMENT: --wait: means nothing to `shadowctl pool list`\n"},
      {{"status", "-o", "csv"},
       "error: INVALID_ARGUMENT: --output csv: means nothing to `shadowctl status`\n"},
      {{"pool", "list", "-o", "svg"},
       "error: INVALID_ARGUMENT: --output svg: means nothing to `shadowctl pool list`\n"},
      {{"pool", "list", "--save", "pools.json"}, "error: INVALID_ARGUMENT: "},
      {{"shadow", "create", "web", "--increase", "1", "--hold", "30"},
       "error: INVALID_ARGUMENT: --hold: \"30\" is not a duration; "},
      {{"status", "--timeout", "0"}, "error: INVALID_ARGUMENT: --timeout: wanted more than 0\n"},
      {{"status", "--address", "localhost:80"},
       "error: INVALID_ARGUMENT: --address: \"localhost:80\" is not unix:PATH or dns:HOST:PORT"},
      {{"usage", "push", "web"},
       "error: INVALID_ARGUMENT: --csv: give either --csv FILE or --value V\n"},
      {{"usage", "push", "web", "--csv", "a", "--value", "1"},
       "error: INVALID_ARGUMENT: --csv: give either --csv FILE or --value V\n"},
      {{"usage", "push", "web", "--value", "1", "--time", "noon"},
       "error: INVALID_ARGUMENT: --time: \"noon\" is not a time; "},
      {{"decisions", "web", "--limit", "0"},
       "error: INVALID_ARGUMENT: --limit: Value 0 not in range 1 to 2147483647\n"},
      {{"apply", "-f", "/nonexistent/f"},
       "error: INVALID_ARGUMENT: --file: cannot read \"/nonexistent/f\"\n"},
  };
  for (const auto& row : table) {
    const Ran ran = RunOffline(row.arguments);
    INFO(ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.out.empty());
    CHECK_THAT(ran.err, Catch::StartsWith(row.error));
  }
}

TEST_CASE("help and version go to standard output and are no error") {
  CHECK_THAT(RunOffline({"--version"}).out, Catch::StartsWith("shadowctl "));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"shadow", "--help"}, {"shadow", "create", "--help"}}) {
    const Ran ran = RunOffline(arguments);
    CHECK(ran.exit_code == 0);
    CHECK_THAT(ran.out, Catch::Contains("Usage: shadowctl"));
    CHECK(ran.err.empty());
  }
  CHECK_THAT(RunOffline({"shadow", "create", "--help"}).out,
             Catch::Contains("Example: shadowctl shadow create web --increase 120"));
}

TEST_CASE("the completion of each shell has each command, and needs no daemon") {
  const std::string groups[] = {"dna", "pool", "shadow", "usage", "describe", "completion"};
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ran ran = RunOffline({"completion", shell});
    INFO(ran.err);
    CHECK(ran.exit_code == 0);
    const bool fish = std::string(shell) == "fish";
    const std::string branch = fish ? "case '" : "\"";
    const std::string close = fish ? "'" : "\")";
    for (const std::string& group : groups) {
      CHECK_THAT(ran.out, Catch::Contains(branch + group + close));
    }
    for (const char* words :
         {"create get list update delete digest", "pool shadow instance dna", "bash zsh fish",
          "-f --file", "--since --limit", "--increase --hold"}) {
      CHECK_THAT(ran.out, Catch::Contains(words));
    }
    CHECK_THAT(ran.out, !Catch::Contains("@CASES@") && !Catch::Contains("@FLAGS@"));
    CHECK_THAT(ran.out, Catch::Contains(" --address ") && Catch::Contains(" -o --output "));
  }
  CHECK(RunOffline({"completion", "tcsh"}).exit_code == 2);
}

TEST_CASE("without a daemon the error names the socket and what to do") {
  const Ran ran = RunOffline({"pool", "list"});
  CHECK(ran.exit_code == 6);
  CHECK(ran.err ==
        "error: UNAVAILABLE: unix:/nonexistent/s: no shadowd answers: there is no such socket; "
        "start it with `systemctl start shadowd` or `shadowd --listen unix:/nonexistent/s`, or "
        "name another socket with --address\n");
}

TEST_CASE("a bad document changes nothing, whatever stands before it") {
  const Ran ran = RunCommandLine({"apply", "-f", "-"},
                                 {.input = "name: dnas/web\n---\nname: pools/web\nspeed: 1\n",
                                  .address = "unix:/nonexistent/s"});
  CHECK(ran.exit_code == 2);
  CHECK(ran.err ==
        "error: INVALID_ARGUMENT: pool.speed: standard input line 4: unknown key \"speed\"; did "
        "you mean \"step\"?\n");
}

}  // namespace
}  // namespace shadow
