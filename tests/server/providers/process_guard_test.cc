// What a guarded program starts ends with it, wherever it went.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "server/providers/guard/guarded_run.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// Ends by itself, or would not.
SpawnSpec Guarded(const std::string& script) {
  SpawnSpec plan;
  plan.argv = {"/bin/bash", "-c", script};
  plan.environment = {"PATH=/usr/bin:/bin"};
  plan.credentials.uid = geteuid();
  plan.credentials.gid = getegid();
  return plan;
}

// Leaves a process in a session of its own, whose pid is in FILE when this goes on.
std::string Leave(const std::string& how, const std::string& file) {
  return how + " bash -c 'echo $$ > " + file + ".part; mv " + file + ".part " + file +
         "; exec sleep 1000' & until [ -e " + file + " ]; do sleep 0.01; done;";
}

TEST_CASE("nothing that a verify command starts is left after its end") {
  const TemporaryDirectory directory;
  const std::string file = directory / "pid";
  SystemClock clock;
  struct Row {
    std::string how;
    std::string then;
    absl::Duration timeout;
    absl::StatusCode code;
  };
  const std::vector<Row> rows = {
      {"setsid", "exit 0", kPatience, absl::StatusCode::kOk},
      {"env -i setsid", "exit 3", kPatience, absl::StatusCode::kOk},
      {"setsid setsid nohup", "kill -9 $$", kPatience, absl::StatusCode::kOk},
      {"setsid -f", "exit 0", kPatience, absl::StatusCode::kOk},
      {"setsid", "sleep 1000", absl::Seconds(1), absl::StatusCode::kDeadlineExceeded},
      {"setsid -f", "kill -STOP $$", absl::Seconds(1), absl::StatusCode::kDeadlineExceeded},
  };
  for (const Row& row : rows) {
    INFO(row.how << ", " << row.then);
    std::filesystem::remove(file);
    const auto output =
        RunToEnd(Guarded(Leave(row.how, file) + row.then), clock, row.timeout, 100, {});
    CHECK(output.status().code() == row.code);
    const pid_t left = std::atoi(ReadText(file).c_str());
    REQUIRE(left > 0);
    CHECK(absl::IsNotFound(ReadProcessStat(left).status()));  // Reaped, too.
  }
}

TEST_CASE("a guarded program and all that it started end with a killed daemon") {
  const TemporaryDirectory directory;
  const std::string file = directory / "pid";
  const pid_t daemon = fork();
  if (daemon == 0) {
    SystemClock clock;
    (void)RunToEnd(Guarded(Leave("setsid", file) + "sleep 1000"), clock, absl::Hours(1), 100, {});
    _exit(1);
  }
  const bool left = PollUntil(kPatience, [&] { return std::filesystem::exists(file); });
  kill(daemon, SIGKILL);
  REQUIRE(waitpid(daemon, nullptr, 0) == daemon);
  REQUIRE(left);
  const pid_t pid = std::atoi(ReadText(file).c_str());
  CHECK(PollUntil(kPatience, [&] { return IsGone(pid); }));
}

}  // namespace
}  // namespace shadow
