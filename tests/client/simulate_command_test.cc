// shadowctl simulate and pool evaluate against a daemon, over real gRPC.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/output/replay_plot.h"
#include "client/proto_time.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

using Json = nlohmann::ordered_json;

v1::Outcome SomeOutcome(const std::string& label, double hit_rate) {
  v1::Outcome outcome;
  outcome.set_label(label);
  outcome.set_hit_rate(hit_rate);
  outcome.set_unserved_share(0.0004);
  outcome.set_idle_share(0.5);
  outcome.set_created_per_day(12.25);
  outcome.set_idle_instance_hours(1234);
  outcome.set_unserved_instance_hours(1.5);
  outcome.set_missed_steps(2);
  return outcome;
}

v1::SimulateResponse SomeSimulation() {
  v1::SimulateResponse response;
  *response.mutable_step() = ToProto(absl::Minutes(5));
  *response.mutable_start_time() = ToProto(absl::FromUnixSeconds(1777593600));
  *response.mutable_end_time() = ToProto(absl::FromUnixSeconds(1777593600 + 86400));
  response.set_scored_steps(288);
  *response.mutable_warm_up() = ToProto(absl::Hours(120));
  *response.mutable_provisioning_lead() = ToProto(absl::Seconds(30));
  *response.mutable_activation_lead() = ToProto(absl::Seconds(2));
  *response.add_variants() = SomeOutcome("service level 0.99", 0.9931);
  *response.add_alternatives() = SomeOutcome("fixed pool of 7", 0.994);
  response.mutable_alternatives(0)->set_as_good_as("service level 0.99");
  *response.add_alternatives() = SomeOutcome("reactive", 0.8);
  return response;
}

TEST_CASE("a simulation is a table of policies and alternatives") {
  FakeDaemon daemon;
  daemon.state.simulation = SomeSimulation();
  const Ran ran = Run(daemon, {"simulate", "web"});
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out ==
        "pools/web from 2026-05-01T00:00:00Z to 2026-05-02T00:00:00Z: 288 steps of 5m, after 5d to "
        "learn from; an instance takes 30s until it waits, 2s to wake\n"
        "POLICY                                       HIT  UNSERVED    IDLE  CREATED/DAY\n"
        "service level 0.99                        99.31%     0.04%  50.00%         12.2\n"
        "fixed pool of 7, like service level 0.99  99.40%     0.04%  50.00%         12.2\n"
        "reactive                                  80.00%     0.04%  50.00%         12.2\n");
  CHECK(daemon.state.simulate.pool() == "pools/web");
  CHECK(daemon.state.simulate.variants().empty());
  CHECK_FALSE(daemon.state.simulate.has_prices());
  CHECK(daemon.state.simulate.plot_points() == 66);
}

TEST_CASE("what bound a policy is named, by how much, and what would have done") {
  FakeDaemon daemon;
  daemon.state.simulation = SomeSimulation();
  v1::Outcome& outcome = *daemon.state.simulation.mutable_variants(0);
  outcome.set_missed_steps(340);
  v1::BindingLimit& most = *outcome.add_limits();
  most.set_kind(v1::BindingLimit::MAX_SHADOW_INSTANCES);
  most.set_missed_steps(312);
  most.set_value(20);
  most.set_sufficient(27);
  most.set_missing_instances(7);
  v1::BindingLimit& slots = *outcome.add_limits();
  slots.set_kind(v1::BindingLimit::BALANCER_SLOTS);
  slots.set_missed_steps(3);
  slots.set_value(10);
  slots.set_sufficient(11);
  slots.set_missing_instances(1);
  CHECK_THAT(
      Run(daemon, {"simulate", "web"}).out,
      Catch::Contains(
          "service level 0.99: max_shadow_instances 20 bound in 312 of 340 missed steps, by "
          "up to 7 instances; 27 would have covered them. the balancer's 10 slots bound in "
          "3 of 340 missed steps, by up to 1 instances; 11 would have covered them. The plan "
          "itself missed the other 25.\n"));
}

TEST_CASE("a level that limits keep out of reach is not recommended, and they are named") {
  FakeDaemon daemon;
  daemon.state.simulation = SomeSimulation();
  v1::Recommendation& best = *daemon.state.simulation.mutable_recommendation();
  best.set_label("service level 0.95");
  best.set_service_level(0.95);
  best.set_cost(12);
  for (const double level : {0.95, 0.99}) {
    v1::Recommendation::Option& option = *best.add_options();
    option.set_service_level(level);
    option.set_cost(level == 0.95 ? 12 : 11);
    option.set_out_of_reach(level == 0.99);
  }
  v1::BindingLimit& limit = *best.add_limits();
  limit.set_kind(v1::BindingLimit::MAX_CONCURRENT_CREATIONS);
  limit.set_missed_steps(31);
  limit.set_value(2);
  limit.set_sufficient(6);
  CHECK_THAT(Run(daemon, {"simulate", "web"}).out,
             Catch::Contains("recommended: service level 0.95, the cheapest at these prices: 12.00 "
                             "(0.95: 12.00, 0.99: 11.00 but out of reach)\n"
                             "out of reach: max_concurrent_creations 2 bound in 31 steps; 6 would "
                             "have covered them\n"));
  best.clear_label();
  CHECK_THAT(Run(daemon, {"simulate", "web"}).out,
             Catch::Contains("recommended: none, as limits keep each from its service level ("));
}

TEST_CASE("policies, prices, leads and demand are sent as they are given") {
  FakeDaemon daemon;
  daemon.state.simulation = SomeSimulation();
  const std::string file =
      (std::filesystem::temp_directory_path() / "shadowctl-simulate-cheap.yaml").string();
  std::ofstream(file) << "service_level: 0.9\nheadroom: 1.5\n";
  const Ran ran = Run(daemon,
                      {"simulate",
                       "web",
                       "--service-level",
                       "0.95",
                       "--service-level",
                       "0.99",
                       "--policy",
                       file,
                       "--idle-cost",
                       "0.1",
                       "--shortage-cost",
                       "5",
                       "--warmup",
                       "5d",
                       "--lead",
                       "10m",
                       "--step",
                       "5m",
                       "--csv",
                       "-",
                       "-o",
                       "json"},
                      "timestamp,value\n2026-05-01T00:00:00Z,10\n2026-05-01T00:05:00Z,\n"
                      "2026-05-01T00:10:00Z,12\n");
  std::filesystem::remove(file);
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(Json::parse(ran.out)["variants"][0]["hitRate"] == 0.9931);
  const v1::SimulateRequest& request = daemon.state.simulate;
  REQUIRE(request.variants_size() == 3);
  CHECK(request.variants(1).service_level() == 0.99);
  CHECK(request.variants(2).label() == "shadowctl-simulate-cheap");
  CHECK(request.variants(2).policy().headroom() == 1.5);
  CHECK(request.prices().idle_cost_per_instance_hour() == 0.1);
  CHECK(request.prices().shortage_cost_per_instance_hour() == 5);
  CHECK(FromProto(request.warm_up()) == absl::Hours(120));
  CHECK(FromProto(request.provisioning_lead()) == absl::Minutes(10));
  CHECK(FromProto(request.step()) == absl::Minutes(5));
  CHECK(request.samples_size() == 2);
  CHECK_FALSE(request.has_plot_points());
}

TEST_CASE("one price without the other is refused") {
  FakeDaemon daemon;
  const Ran simulate = Run(daemon, {"simulate", "web", "--idle-cost", "0.1"});
  CHECK(simulate.exit_code == 2);
  CHECK_THAT(simulate.err, Catch::Contains("--idle-cost requires --shortage-cost"));
  const Ran evaluate = Run(daemon, {"pool", "evaluate", "web", "--shortage-cost", "5"});
  CHECK(evaluate.exit_code == 2);
  CHECK_THAT(evaluate.err, Catch::Contains("--shortage-cost requires --idle-cost"));
}

TEST_CASE("with prices there are costs and a recommendation") {
  FakeDaemon daemon;
  daemon.state.simulation = SomeSimulation();
  for (auto& outcome : *daemon.state.simulation.mutable_variants()) outcome.set_cost(130.9);
  v1::Recommendation& best = *daemon.state.simulation.mutable_recommendation();
  best.set_label("service level 0.98");
  best.set_cost(120);
  for (const double level : {0.95, 0.98}) {
    v1::Recommendation::Option& option = *best.add_options();
    option.set_service_level(level);
    option.set_cost(level == 0.98 ? 120 : 125.5);
  }
  const Ran ran = Run(daemon, {"simulate", "web", "--idle-cost", "0.1", "--shortage-cost", "5"});
  CHECK_THAT(ran.out, Catch::Contains("CREATED/DAY    COST\n") && Catch::Contains("130.90\n"));
  CHECK_THAT(ran.out, Catch::Contains("recommended: service level 0.98, the cheapest at these "
                                      "prices: 120.00 (0.95: 125.50, 0.98: 120.00)\n"));
}

TEST_CASE("what is wrong with a simulation is said before or by the daemon") {
  FakeDaemon daemon;
  Ran ran = Run(daemon, {"simulate", "web", "--policy", "-"}, "bogus: 1\n");
  CHECK(ran.exit_code == 2);
  CHECK_THAT(ran.err, Catch::StartsWith("error: INVALID_ARGUMENT: policy.bogus: "));
  ran = Run(daemon, {"simulate", "web", "--policy", "-"}, "");
  CHECK(ran.err == "error: INVALID_ARGUMENT: standard input: 0 documents; wanted one, a policy\n");
  ran = Run(daemon, {"simulate", "web", "--warmup", "5"});
  CHECK_THAT(ran.err, Catch::StartsWith("error: INVALID_ARGUMENT: --warmup: \"5\" is not"));
  ran = Run(daemon, {"simulate", "web", "--csv", "/nonexistent/f"});
  CHECK(ran.err == "error: INVALID_ARGUMENT: --csv: cannot read \"/nonexistent/f\"\n");
  CHECK(daemon.state.calls.empty());
  daemon.state.errors.push_back({.code = 8,  // RESOURCE_EXHAUSTED
                                 .message = "4 simulations are waiting already; try again later",
                                 .field = "",
                                 .reason = ""});
  ran = Run(daemon, {"simulate", "web"});
  CHECK(ran.exit_code == 6);
}

TEST_CASE("an evaluation says what AUTOMATIC would have meant, and lists the misses") {
  FakeDaemon daemon;
  v1::EvaluatePoolResponse& response = daemon.state.evaluation;
  *response.mutable_start_time() = ToProto(absl::FromUnixSeconds(1777593600));
  *response.mutable_end_time() = ToProto(absl::FromUnixSeconds(1777593600 + 86400));
  *response.mutable_automatic() = SomeOutcome("AUTOMATIC", 0.9931);
  v1::Outcome::Miss& miss = *response.mutable_automatic()->add_misses();
  *miss.mutable_time() = ToProto(absl::FromUnixSeconds(1777600000));
  miss.set_need(5);
  miss.set_ready(4);
  *response.mutable_present() = SomeOutcome("base alone", 0.71);
  response.mutable_present()->set_missed_steps(84);
  response.set_mode(v1::Policy::OBSERVE);
  const Ran ran = Run(daemon, {"pool", "evaluate", "web", "--last", "1d"});
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out ==
        "pools/web from 2026-05-01T00:00:00Z to 2026-05-02T00:00:00Z: AUTOMATIC would have met the "
        "need in 99.31% of the steps (2 missed, 1.5 instance-hours short) with 1234.0 "
        "instance-hours idle. As it is, observed only, its base alone met the need in 71.00% of "
        "the steps (84 missed, 1.5 instance-hours short) with 1234.0 instance-hours idle.\n"
        "POLICY         HIT  UNSERVED    IDLE  CREATED/DAY\n"
        "AUTOMATIC   99.31%     0.04%  50.00%         12.2\n"
        "base alone  71.00%     0.04%  50.00%         12.2\n"
        "MISSED                NEEDED  READY\n"
        "2026-05-01T01:46:40Z       5      4\n"
        "and 1 more\n");
  CHECK(FromProto(daemon.state.evaluate.last()) == absl::Hours(24));
  CHECK(Json::parse(Run(daemon, {"pool", "evaluate", "web", "-o", "json"}).out)["mode"] ==
        "OBSERVE");
  CHECK_FALSE(daemon.state.evaluate.has_last());
}

TEST_CASE("a pool's score is in its row, and in words below it where it is the only one") {
  FakeDaemon daemon;
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.set_name("pools/web");
  pool.set_state(v1::Pool::READY);
  const auto line = [&] {
    const std::string out = Run(daemon, {"pool", "get", "web"}).out;
    return out.substr(out.find("web is only"));
  };
  CHECK(line() == "web is only observed; not scored: not yet\n");

  v1::ObserveScore& score = *pool.mutable_observe_score();
  score.set_unscored_reason("not enough history: pools/web has 3h of demand");
  CHECK(line() ==
        "web is only observed; not scored: not enough history: pools/web has 3h of demand\n");
  CHECK_THAT(Run(daemon, {"pool", "list"}).out, Catch::Contains("  not yet  "));

  score.clear_unscored_reason();
  *score.mutable_score_time() = ToProto(absl::FromUnixSeconds(1777636800) - absl::Minutes(5));
  *score.mutable_start_time() = ToProto(absl::FromUnixSeconds(1777593600 - 7 * 86400));
  *score.mutable_end_time() = ToProto(absl::FromUnixSeconds(1777593600));
  score.set_scored_steps(2016);
  score.mutable_automatic()->set_hit_rate(0.9931);
  score.mutable_automatic()->set_missed_steps(14);
  score.mutable_automatic()->set_unserved_share(0.0004);
  score.mutable_automatic()->set_idle_instances(1.23);
  score.mutable_automatic()->set_created_per_day(12.25);
  score.mutable_automatic()->set_cost(20.5);
  score.mutable_base_alone()->set_hit_rate(0.71);
  score.mutable_base_alone()->set_missed_steps(585);
  score.mutable_base_alone()->set_unserved_share(0.08);
  score.mutable_base_alone()->set_cost(900);
  CHECK(line() ==
        "web is only observed; AUTOMATIC would have met the need in 99.31% of the steps (14 "
        "missed, 0.04% of the need unserved), with 1.2 instances idle on average, 12.2 created a "
        "day, at a cost of 20.50; the base alone in 71.00% of the steps (585 missed, 8.00% of the "
        "need unserved), with 0.0 instances idle on average, 0.0 created a day, at a cost of "
        "900.00.\n"
        "Scored 5m ago, from 2026-04-24T00:00:00Z to 2026-05-01T00:00:00Z, 2016 steps. The "
        "misses: shadowctl pool evaluate web\n");
  CHECK_THAT(Run(daemon, {"pool", "list"}).out, Catch::Contains("  99.31%, base 71.00%  "));
  CHECK(Json::parse(Run(daemon, {"pool", "get", "web", "-o", "json"})
                        .out)["observeScore"]["automatic"]["hitRate"] == 0.9931);

  pool.mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  CHECK_THAT(Run(daemon, {"pool", "get", "web"}).out, !Catch::Contains("only observed"));
}

TEST_CASE("a replay's picture shows demand, what serves, what is ready and what is missing") {
  v1::Outcome outcome;
  const struct {
    double demand;
    double ready;
    double active;
  } points[] = {{10, 40, 20}, {20, 40, 30}, {40, 20, 20}};
  for (const auto& row : points) {
    v1::Outcome::Point& point = *outcome.add_points();
    *point.mutable_time() = ToProto(absl::FromUnixSeconds(1777593600));
    point.set_demand(row.demand);
    point.set_ready(row.ready);
    point.set_active(row.active);
  }
  CHECK(PlotReplay(outcome, {.title = "web", .columns = 40, .rows = 4}) ==
        "web\n"
        "40 |..!\n"
        "   |.o!\n"
        "20 |o##\n"
        "   |###\n"
        " 0 +--!\n"
        "    05-01 00:00\n"
        "# demand  o serves beyond it  . ready beyond it  ! missing  times in UTC\n");
  CHECK(PlotReplay(v1::Outcome(), {}).empty());
  CHECK_THAT(PlotReplay(outcome, {.title = "", .rows = 4, .blocks = true, .colour = true}),
             Catch::Contains("█") && Catch::Contains("\x1b[31m!\x1b[0m"));
}

}  // namespace
}  // namespace shadow
