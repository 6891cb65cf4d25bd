// Instances that are not what they should be: they never serve, and no request fails because of
// them.
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using I = v1::Instance;

// Creates a shadow of a DNA that does not hold for shadow instances, and finds it FAILED.
std::string FailureOf(const WorldOptions& options) {
  Tally tally("not as its DNA says", "failed instances");
  ShadowWorld world(options, false);
  world.CreateDna();
  world.CreatePool();
  world.CreateShadow(1);
  std::string reason;
  world.WaitFor("an instance fails", [&] {
    const auto failed = world.Instances(I::SHADOW, I::FAILED);
    if (!failed.empty()) reason = failed.front().reason();
    return !failed.empty();
  });
  world.WaitFor("the shadow is FAILED and nobody serves", [&] {
    return world.Shadow().state() == S::FAILED && world.Shadow().failure_reason() == reason;
  });
  world.Activate(100);
  const auto is_bad = [](const I& instance) {
    return instance.state() >= I::RESUMING && instance.state() <= I::DRAINING;
  };
  world.WaitFor("a second one fails too, although it is wanted", [&] {
    CHECK(world.Balanced().empty());  // HAProxy never has it.
    const auto instances = world.Instances(I::SHADOW);
    CHECK(std::none_of(instances.begin(), instances.end(), is_bad));
    return world.Instances(I::SHADOW, I::FAILED).size() >= 2;
  });
  CHECK(world.Shadow().serving_instances() == 0);
  tally.Try(std::ssize(world.Instances(I::SHADOW, I::FAILED)));
  FinishRow(world, tally);
  return reason;
}

TEST_CASE("an instance with another data set than its DNA says never serves") {
  const std::string reason = FailureOf({.base_instances = 0, .dna = R"(
    data_sets { name: "page" source: "/etc/os-release"
      sha256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" })"});
  CHECK_THAT(reason, Catch::Contains("data_sets[page].sha256"));
  CHECK_THAT(reason, Catch::Contains("0123456789abcdef"));
}

TEST_CASE("an instance with another software version than its DNA says never serves") {
  const std::string reason = FailureOf({.base_instances = 0, .dna = R"(
    software { name: "engine" version: "2.0" verify_argv: ["/bin/echo", "engine 1.9"] })"});
  CHECK_THAT(reason, Catch::Contains("software[engine].version"));
  CHECK_THAT(reason, Catch::Contains("1.9"));
}

TEST_CASE("an instance without a connection that its DNA asks for never serves") {
  const std::string reason = FailureOf({.base_instances = 0, .dna = R"(
    network { connections { host: "127.0.0.1" port: 9 } })"});
  CHECK_THAT(reason, Catch::Contains("network.connections"));
  CHECK_THAT(reason, Catch::Contains("127.0.0.1:9"));
}

TEST_CASE("neither the end of the daemon nor the deletion of a shadow waits for a warm-up") {
  Tally tally("endless warm-up", "ends within one");
  ShadowWorld world({.base_instances = 0,
                     .haproxy = false,
                     .shadow_flags = "--slow-after 0 --slow-by 600s",
                     .dna = "warm_up { timeout { seconds: 600 } } "
                            "process { stop_timeout { seconds: 1 } }"});
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  world.Activate(100);
  const auto warming = [&] { return world.Instances(I::SHADOW, I::WARMING).size() == 2; };
  world.WaitFor("both warm up", warming);
  const SystemClock clock;
  absl::Duration before = clock.Now().mono;
  CHECK(world.daemon().Terminate() == 0);
  CHECK(clock.Now().mono - before < absl::Seconds(5));
  tally.Try();

  world.daemon().Start();
  world.WaitFor("both warm up again", warming);
  before = clock.Now().mono;
  world.DeleteShadow();
  world.WaitForNoShadow();
  CHECK(clock.Now().mono - before < absl::Seconds(10));
  tally.Try();
  FinishRow(world, tally);
}

// A shadow instance that is bad in its first life and good once `mend` was done.
void RollBackAndReplace(const std::string& bad_flags, const std::string& policy,
                        const std::string& finding) {
  Tally tally("bad canary", "canary");
  // While the file "good" is missing, the worker is a bad one.
  ShadowWorld world({.base_instances = 2,
                     .shadow_flags = "$flags",
                     .prelude = "flags=\"" + bad_flags +
                                "\"\nif [ -e \"$(dirname \"$0\")/good\" ]; then flags=; fi",
                     .pool = policy});
  HttpLoad load(world.Load());
  world.CreateShadow(1);
  world.WaitForShadow(S::SUSPENDED, 0);
  const std::string bad = world.Instances(I::SHADOW).front().name();
  world.Activate(100);
  std::string reason;
  world.WaitFor("the canary fails", [&] {
    for (const I& instance : world.Instances(I::SHADOW, I::FAILED)) {
      if (instance.name() == bad) reason = instance.reason();
    }
    return !reason.empty();
  });
  std::ofstream(world.daemon().directory() + "/good") << "yes";
  CHECK_THAT(reason, Catch::Contains(finding));
  world.WaitForShadow(S::ACTIVE, 1);
  CHECK(world.Instances(I::SHADOW, I::ACTIVE).front().name() != bad);
  tally.Try();
  CountLeaks(world, tally);
  WaitForAnswers(load, 20);
  CountFailures(load, tally);
  FinishRow(world, tally);
}

TEST_CASE("an instance that fails real requests is rolled back in canary, no user request fails") {
  RollBackAndReplace("--fail-after 3", "", "errors");
}

TEST_CASE("an instance that is slow is rolled back in canary, no user request fails") {
  RollBackAndReplace("--slow-after 3 --slow-by 400ms",
                     "policy { canary { requests: 20 timeout { seconds: 10 } } }", "response time");
}

}  // namespace
}  // namespace shadow
