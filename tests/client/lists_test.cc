// Lists as people see them: the latest events, what has failed, the width, and what was meant.
#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "client/text.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr std::int64_t kListedAt = 1777636800;  // As of run_shadowctl.h.

// Of pools/web, `age_seconds` ago.
void AddPastEvent(FakeDaemon& daemon, std::int64_t age_seconds) {
  v1::Event& event = daemon.state.events.emplace_back();
  event.set_revision(static_cast<std::int64_t>(daemon.state.events.size()));
  event.set_kind(v1::Event::UPDATED);
  event.set_name("pools/web");
  event.set_message(std::to_string(age_seconds) + " s ago");
  event.mutable_time()->set_seconds(kListedAt - age_seconds);
}

TEST_CASE("events are shown since a time ago, the newest last, or the last so many") {
  FakeDaemon daemon;
  for (const std::int64_t age : {3600, 900, 600, 30, 5}) AddPastEvent(daemon, age);
  Ran ran = Run(daemon, {"events", "web", "--since", "10m"});
  INFO(ran.err);
  CHECK(ran.out ==
        "REVISION  TIME                  KIND     NAME       MESSAGE\n"
        "       3  2026-05-01T11:50:00Z  UPDATED  pools/web  600 s ago\n"
        "       4  2026-05-01T11:59:30Z  UPDATED  pools/web  30 s ago\n"
        "       5  2026-05-01T11:59:55Z  UPDATED  pools/web  5 s ago\n");
  CHECK(daemon.state.calls.back() == "ListEvents pools/web");
  ran = Run(daemon, {"events", "--limit", "2"});
  CHECK_THAT(ran.out, Catch::Contains("\n       4  ") && Catch::EndsWith("5 s ago\n") &&
                          !Catch::Contains("600 s ago"));
  ran = Run(daemon, {"events", "--since", "1m", "--limit", "1"});
  CHECK_THAT(ran.out, !Catch::Contains("30 s ago") && Catch::EndsWith("5 s ago\n"));
  ran =
      Run(daemon, {"events", "--since", "1", "--limit", "1"});  // After a revision: the next ones.
  CHECK_THAT(ran.out, Catch::EndsWith("900 s ago\n"));
  CHECK(Run(daemon, {"events", "--since", "soon"}).exit_code == 2);
}

TEST_CASE("events since a time ago are followed without a gap and none twice") {
  FakeDaemon daemon;
  daemon.state.revision = 2;
  for (const std::int64_t age : {3600, 900, 600}) AddPastEvent(daemon, age);
  const Ran ran = Run(daemon, {"events", "--since", "20m", "--watch"});
  CHECK(ran.out ==
        "2  2026-05-01T11:45:00Z  UPDATED  pools/web  900 s ago\n"
        "3  2026-05-01T11:50:00Z  UPDATED  pools/web  600 s ago\n");
  REQUIRE(daemon.state.watches.size() == 1);
  CHECK(daemon.state.watches[0].since_revision() == 3);
}

TEST_CASE("the events of one instance are found by its short name") {
  FakeDaemon daemon;
  Run(daemon, {"events", "web/r1/i1"});
  CHECK(daemon.state.calls.back() == "ListEvents pools/web/shadowPools/r1/instances/i1");
}

TEST_CASE("a pool's row counts failed instances and says why the last one failed") {
  FakeDaemon daemon;
  daemon.state.pools["pools/web"].set_name("pools/web");
  for (const char* reason : {"exit 1", "exit 2"}) {
    v1::Instance& instance = daemon.state.instances.emplace_back();
    instance.set_name("pools/web/instances/i1");
    instance.set_state(v1::Instance::FAILED);
    instance.set_reason(reason);
    instance.mutable_state_time()->set_seconds(reason == std::string("exit 1") ? 20 : 10);
  }
  const std::string out = Run(daemon, {"pool", "list"}).out;
  CHECK_THAT(out, Catch::Contains(" FAILED ") && Catch::EndsWith("  exit 1\n"));
  CHECK_THAT(out, Catch::Contains("       2  "));
}

TEST_CASE("a table is cut to a terminal, and whole where it is piped") {
  FakeDaemon daemon;
  v1::Instance& instance = daemon.state.instances.emplace_back();
  instance.set_name("pools/web/shadowPools/r0123456789ab/instances/i123");
  instance.set_state(v1::Instance::FAILED);
  instance.set_reason("warm up: 3 of 5 requests failed, the last one with status 503 after 1.2s");
  const std::vector<std::string> arguments = {"shadow", "instances", "web"};
  CHECK_THAT(Run(daemon, arguments).out, Catch::EndsWith("status 503 after 1.2s\n"));
  const Ran seen =
      RunCommandLine(arguments, {.input = "", .address = daemon.address(), .terminal = true});
  CHECK_THAT(seen.out, Catch::Contains("web/r0123456789ab/i123") && Catch::EndsWith("…\n"));
  std::istringstream lines(seen.out);
  for (std::string line; std::getline(lines, line);) CHECK(DisplayColumns(line) <= 80);
}

TEST_CASE("a slip in a command, a flag or a name is answered with what was likely meant") {
  FakeDaemon daemon;
  daemon.state.pools["pools/checkout"].set_name("pools/checkout");
  daemon.state.dnas["dnas/checkout"].set_name("dnas/checkout");
  daemon.state.shadows["pools/checkout/shadowPools/r1"].set_name("pools/checkout/shadowPools/r1");
  const struct {
    std::vector<std::string> arguments;
    const char* question;
  } table[] = {
      {{"pol", "list"}, "; did you mean \"pool\"?\n"},
      {{"pool", "lsit"}, "; did you mean \"list\"?\n"},
      {{"events", "--snice", "10m"}, "; did you mean \"--since\"?\n"},
      {{"pool", "delete", "checkout", "--wiat"}, "; did you mean \"--wait\"?\n"},
      {{"pool", "get", "chekout"}, "; did you mean \"checkout\"?\n"},
      {{"describe", "dna", "chekcout"}, "; did you mean \"checkout\"?\n"},
      {{"shadow", "get", "checkout/r2"}, "; did you mean \"checkout/r1\"?\n"},
  };
  for (const auto& row : table) {
    const Ran ran = Run(daemon, row.arguments);
    INFO(ran.err);
    CHECK(ran.exit_code != 0);
    CHECK_THAT(ran.err, Catch::Contains(row.question));
  }
  CHECK(Run(daemon, {"pool", "get", "orders"}).err ==
        "error: NOT_FOUND: name: pools/orders is not there\n");
}

TEST_CASE("durations and counts are written as people write them") {
  CHECK(DurationText(absl::Milliseconds(6400)) == "6.4s");
  CHECK(DurationText(absl::Minutes(5)) == "5m");
  CHECK(DurationText(absl::Hours(1)) == "1h");
  CHECK(DurationText(absl::Hours(1) + absl::Seconds(10)) == "1h10s");
  CHECK(DurationText(absl::Minutes(90)) == "1h30m");
  CHECK(DurationText(absl::ZeroDuration()) == "0");
  CHECK(RoundedDuration(absl::Nanoseconds(6'412'345'678)) == "6.4s");
  CHECK(RoundedDuration(absl::Nanoseconds(12'345'678)) == "12ms");
  CHECK(RoundedDuration(absl::Nanoseconds(1'234'567)) == "1.2ms");
  CHECK(RoundedDuration(absl::Seconds(61)) == "1m1s");
  CHECK(CountText(1, "shadow instance") == "1 shadow instance");
  CHECK(CountText(0, "shadow instance") == "0 shadow instances");
}

TEST_CASE("a word is close to another if few of its letters differ") {
  const std::vector<std::string> known = {"list", "get", "delete"};
  CHECK(Closest("lst", known) == "list");
  CHECK(Closest("lsit", known) == "list");
  CHECK(Closest("delte", known) == "delete");
  CHECK(Closest("bogus", known).empty());
  CHECK(Closest("", known).empty());
}

}  // namespace
}  // namespace shadow
