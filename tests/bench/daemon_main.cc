// bench_daemon: what the daemon promises, measured on this machine. Needs haproxy. Takes minutes,
// most of them for the calls with 10,000 pools.
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/daemon_benches.h"

namespace {

using shadow::bench::Amount;
using shadow::bench::Row;

struct Bench {
  std::string name;
  std::vector<Row> (*measure)(const Amount&);
};

const std::vector<Bench>& Benches() {
  static const std::vector<Bench> kBenches = {{"activation", shadow::bench::MeasureActivation},
                                              {"neighbours", shadow::bench::MeasureNeighbours},
                                              {"idle", shadow::bench::MeasureIdle},
                                              {"calls", shadow::bench::MeasureCallsOfMany},
                                              {"restart", shadow::bench::MeasureRestart},
                                              {"samples", shadow::bench::MeasureSamples},
                                              {"usage", shadow::bench::MeasureUsage}};
  return kBenches;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures the daemon with real workers and a real HAProxy"};
  bool smoke = false;
  std::string only;
  app.add_flag("--smoke", smoke, "Measure next to nothing: does it run?");
  app.add_option(
         "--only", only,
         "activation, neighbours, idle (with calls of 10 pools), calls (of 10,000), restart, "
         "samples or usage")
      ->check(CLI::IsMember(
          {"activation", "neighbours", "idle", "calls", "restart", "samples", "usage"}));
  CLI11_PARSE(app, argc, argv);
  const Amount amount = smoke ? Amount::Smoke() : Amount();
  std::vector<Row> rows;
  try {
    for (const Bench& bench : Benches()) {
      if (!only.empty() && bench.name != only) continue;
      for (Row& row : bench.measure(amount)) rows.push_back(std::move(row));
    }
  } catch (const std::exception& error) {
    std::cerr << "bench_daemon: " << error.what() << "\n";
    return 1;
  }
  shadow::bench::PrintTable(std::cout, rows);
  return 0;
}
