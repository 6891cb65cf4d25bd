// The director's parts that need no daemon.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "server/core/clock.h"
#include "tests/demo/director/interrupt.h"
#include "tests/demo/director/observer.h"
#include "tests/demo/director/programs.h"
#include "tests/demo/director/replay.h"
#include "tests/demo/director/report.h"
#include "tests/demo/director/setup_files.h"
#include "tests/demo/director/view.h"
#include "tests/demo/load.h"
#include "tests/demo/test_worker.h"
#include "tests/fakes/poll.h"

namespace shadow::demo {
namespace {

class TempDirectory {
 public:
  TempDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "director-XXXXXX").string();
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The file's content once it has `text`, or after 10 s.
std::string WaitForLog(const std::string& path, const std::string& text) {
  std::string log;
  PollUntil(absl::Seconds(10), [&] {
    log = FileTail(path, 1000);
    return log.find(text) != std::string::npos;
  });
  return log;
}

v1::Instance MakeInstance(v1::Instance::Role role, v1::Instance::State state, int weight) {
  v1::Instance instance;
  instance.set_role(role);
  instance.set_state(state);
  instance.set_weight_percent(weight);
  return instance;
}

TEST_CASE("instances are counted by what they do") {
  const InstanceCounts counts =
      CountInstances({MakeInstance(v1::Instance::BASE, v1::Instance::ACTIVE, 100),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::ACTIVE, 100),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::ACTIVE, 50),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::WARMING, 10),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::SUSPENDED, 0),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::CREATING, 0),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::DRAINING, 0),
                      MakeInstance(v1::Instance::SHADOW, v1::Instance::FAILED, 0)});
  CHECK(counts.base_serving == 1);
  CHECK(counts.shadow_serving == 1);
  CHECK(counts.serving() == 2);
  CHECK(counts.waking == 2);
  CHECK(counts.suspended == 1);
  CHECK(counts.starting == 1);
  CHECK(counts.draining == 1);
  CHECK(counts.ending == 1);
  CHECK(counts.running() == 6);
}

TEST_CASE("a replay is summed up as computed by hand") {
  LoadReport load;
  load.sent = 250;
  load.failed = 3;
  load.latencies_ms = {10, 20, 30, 4000};
  load.steps = {{.arrivals = 90}, {.arrivals = 80}, {.arrivals = 80}};
  // 90 arrivals need 3 of 40: 5 running leaves 2 idle, 3 serving cover it. In the second step 1.5
  // serving carry 60 < 80. The third was never looked at.
  const std::vector<StepState> steps = {
      {.samples = 4, .serving = 3, .running = 5, .suspended = 2},
      {.samples = 4, .serving = 1.5, .running = 2, .suspended = 1.5},
      {}};
  const ReplayResult result = Summarize(load, steps,
                                        {{.woken = false, .need_to_serve = absl::Seconds(4)},
                                         {.woken = true, .need_to_serve = absl::Milliseconds(50)},
                                         {.woken = true, .need_to_serve = absl::Milliseconds(70)}},
                                        40, absl::Seconds(1));
  CHECK(result.requests == 250);
  CHECK(result.failed == 3);
  CHECK(result.latency_p50_ms == 20);
  CHECK(result.latency_p99_ms == 4000);
  CHECK(result.covered_share == Approx(1.0 / 3));
  CHECK(result.cold_starts == 1);
  CHECK(result.cold_p50_ms == 4000);
  CHECK(result.wakes == 2);
  CHECK(result.wake_p50_ms == 50);
  CHECK(result.idle_instance_seconds == 2);
  CHECK(result.suspended_instance_seconds == 3.5);
}

TEST_CASE("the report has exactly the promised keys") {
  const ReplayResult result{.requests = 7};
  const std::string one =
      "{\"requests\": 7, \"failed\": 0, \"latency_p50_ms\": 0.00, \"latency_p99_ms\": 0.00, "
      "\"covered_share\": 0.0000, \"cold_starts\": 0, \"wakes\": 0, \"cold_p50_ms\": 0.00, "
      "\"wake_p50_ms\": 0.00, \"idle_instance_seconds\": 0.0}";
  CHECK(ComparisonJson(result, result) ==
        "{\"with_shadow\": " + one + ",\n \"without_shadow\": " + one + "}\n");
  CHECK(ComparisonTable(result, result).find("latency p99") != std::string::npos);
}

Frame SomeFrame() {
  Frame frame;
  frame.title = "with shadows";
  frame.step = 2;
  frame.steps = 6;
  frame.peak = 100;
  frame.capacity_per_instance = 40;
  frame.demand = {10, 90, 50};
  frame.serving = {2, 2, 2};
  frame.pool.counts = {.base_serving = 2, .suspended = 3};
  frame.pool.forecast[4] = {.low = 20, .median = 60, .high = 100};
  return frame;
}

TEST_CASE("a frame has the same lines whatever is known, and no escape codes without colour") {
  const auto lines = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  const std::string full = DrawFrame(SomeFrame(), false);
  CHECK(full.find('\x1b') == std::string::npos);
  CHECK(full.find("░") != std::string::npos);
  CHECK(full.find("█") != std::string::npos);
  CHECK(DrawFrame(SomeFrame(), true).find("\x1b[31m") != std::string::npos);
  Frame before;
  before.step = -1;
  before.steps = 6;
  before.peak = 100;
  CHECK(lines(DrawFrame(before, false)) == lines(full));
}

TEST_CASE("where there is no terminal the view writes a plain line every two seconds") {
  std::ostringstream out;
  View view(out, false, false);
  for (int i = 0; i <= 16; ++i) view.Show(SomeFrame(), absl::Milliseconds(250 * i));
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("demand  90/s") != std::string::npos);
}

TEST_CASE("the plan replays a day that begins and ends quietly, and imports two weeks") {
  const auto plan = PlanReplay(SHADOW_SOURCE_DIR "/tests/data/demand_30m.csv", 300, 1000);
  REQUIRE(plan.ok());
  CHECK(plan->history.size() > 2 * 7 * 48);
  CHECK(plan->rates.size() >= 48);
  CHECK(plan->rates.size() <= 60);
  CHECK(plan->rates.front() < 60);
  CHECK(plan->rates.back() < 60);
  CHECK(*std::max_element(plan->rates.begin(), plan->rates.end()) > 250);
  CHECK(PlanReplay(SHADOW_SOURCE_DIR "/tests/data/demand_30m.csv", 300, 10)->rates.size() == 10);
}

TEST_CASE("a worker survives being stopped and continued, and SIGTERM ends it with status 0") {
  const SystemClock clock;
  const TempDirectory directory;
  auto worker =
      Program::Start({SHADOW_BIN_DIR "/shadow-demo-worker", "--port", "0"}, directory / "log");
  REQUIRE(worker.ok());
  const std::string log = WaitForLog(directory / "log", "listening on");
  const int port = std::stoi("0" + log.substr(std::min(log.size(), log.rfind(':') + 1)));
  TestConnection connection(port);
  REQUIRE(connection.connected());
  connection.Get("/");
  CHECK(connection.ReadStatus() == 200);
  kill((*worker)->pid(), SIGSTOP);
  connection.Get("/");
  kill((*worker)->pid(), SIGCONT);
  CHECK(connection.ReadStatus() == 200);
  CHECK((*worker)->Stop(absl::Seconds(10), clock).ok());
  CHECK_FALSE((*worker)->Running());
}

TEST_CASE("a worker told to stop while it starts up ends with status 0 and never listens") {
  const SystemClock clock;
  const TempDirectory directory;
  auto worker = Program::Start(
      {SHADOW_BIN_DIR "/shadow-demo-worker", "--port", "0", "--startup", "1h"}, directory / "log");
  REQUIRE(worker.ok());
  WaitForLog(directory / "log", "starting up");
  CHECK((*worker)->Running());
  CHECK((*worker)->Stop(absl::Seconds(10), clock).ok());
  CHECK(FileTail(directory / "log", 1000) == "starting up");
}

TEST_CASE("HAProxy accepts the generated configuration") {
  const SystemClock clock;
  const TempDirectory directory;
  Interrupt interrupt;
  Setup setup;
  setup.directory = directory / "";
  setup.http_port = 18080;
  REQUIRE(WriteText(setup.HaproxyFile(), HaproxyConfig(setup)).ok());
  const auto output = RunToEnd({"/usr/sbin/haproxy", "-c", "-f", setup.HaproxyFile()},
                               directory / "log", absl::Seconds(10), clock, interrupt);
  INFO(output.status().message());
  CHECK(output.ok());
  CHECK(output.value_or("").find("WARNING") == std::string::npos);
}

TEST_CASE("the replays have the example's DNA and pool, in their own places") {
  Setup setup;
  setup.examples = SHADOW_SOURCE_DIR "/client/examples";
  setup.directory = "/tmp/replay";
  setup.worker = "/bin/worker";
  setup.worker_port_min = 21000;
  const auto with = WebYaml(setup, true);
  INFO(with.status());
  REQUIRE(with.ok());
  for (const char* text :
       {"verify_argv: [/bin/worker, --version]", "    - /bin/worker\n",
        "source: /tmp/replay/page.txt", "    - /tmp/replay/page.txt\n", "frontend: public",
        "socket_path: /tmp/replay/haproxy.sock", "port_max: 21031",
        "SHADOW_DEMO_DIRECTORY: /tmp/replay\n", "sizing: PREDICTIVE", "\nstep: 1s",
        "season_lengths: [48s, 336s]", "\n  provisioning_lead: 5s"}) {
    INFO(text);
    CHECK(with->find(text) != std::string::npos);
  }
  for (const char* text : {"/usr/local", "/srv/web", "/run/haproxy"}) {
    INFO(text);
    CHECK(with->find(text) == std::string::npos);
  }
  setup.predictive = false;
  const auto without = WebYaml(setup, false);
  REQUIRE(without.ok());
  CHECK(without->find("sizing: REACTIVE") != std::string::npos);
  CHECK(without->find("usage_sources: []\n") != std::string::npos);
  CHECK(PageText(setup).value() == "served by the demonstration\n");

  const TempDirectory other;
  REQUIRE(WriteText(other / "web.yaml", "name: dnas/web\n").ok());
  setup.examples = other / "";
  CHECK(WebYaml(setup, true).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(PageText(setup).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("a program that fails is an error with its output, and one that hangs is killed") {
  const SystemClock clock;
  const TempDirectory directory;
  Interrupt interrupt;
  const auto run = [&](const std::string& script, absl::Duration timeout) {
    return RunToEnd({"sh", "-c", script}, directory / "log", timeout, clock, interrupt);
  };
  CHECK(*run("echo hello", absl::Seconds(10)) == "hello\n");
  const auto failed = run("echo why; exit 3", absl::Seconds(10));
  CHECK(failed.status().message().find("exit status 3: why") != std::string::npos);
  CHECK(run("sleep 100", absl::Milliseconds(100)).status().code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(Program::Start({"/nonexistent"}, directory / "log").status().code() ==
        absl::StatusCode::kNotFound);
}

TEST_CASE("a process that was left behind is found by its tag and killed") {
  const SystemClock clock;
  const TempDirectory directory;
  const std::string tag = "SHADOW_DEMO_DIRECTORY=" + (directory / "tag");
  CHECK(ProcessesWithEnvironment(tag).empty());
  auto program = Program::Start({"env", tag, "sleep", "100"}, directory / "log");
  REQUIRE(program.ok());
  PollUntil(absl::Seconds(10), [&] { return !ProcessesWithEnvironment(tag).empty(); });
  CHECK(ProcessesWithEnvironment(tag) == std::vector<pid_t>{(*program)->pid()});
  kill((*program)->pid(), SIGKILL);
  CHECK_FALSE((*program)->Stop(absl::Seconds(10), clock).ok());
  CHECK(KillProcessesWithEnvironment(tag, absl::Seconds(10), clock) == 0);
}

}  // namespace
}  // namespace shadow::demo
