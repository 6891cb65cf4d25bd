// shadow-demo-load: the load generator as a program. See load.h.
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "server/core/clock.h"
#include "tests/demo/curve.h"
#include "tests/demo/flags.h"
#include "tests/demo/load.h"

namespace {

using shadow::demo::LoadOptions;
using shadow::demo::LoadReport;
using shadow::demo::LoadRun;

void RaiseOpenFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Replay(const LoadOptions& options, const std::string& report_file) {
  const shadow::SystemClock clock;
  LoadRun run(options, clock);
  const std::atomic<bool> stop = false;
  if (absl::Status status = run.Run(clock.Now().mono, stop); !status.ok()) {
    std::cerr << "shadow-demo-load: " << status.message() << "\n";
    return 2;
  }
  const std::string json = LoadReportJson(run.Snapshot());
  if (report_file.empty()) {
    std::cout << json;
    return 0;
  }
  std::ofstream file(report_file);
  file << json;
  file.close();
  if (file) return 0;
  std::cerr << "shadow-demo-load: report: cannot write " << report_file << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Replays a rate curve against an HTTP server, open loop"};
  LoadOptions options;
  std::string curve_file;
  std::string report_file;
  double peak = 0;
  bool fresh = false;
  app.add_option("--host", options.host, "IPv4 address")->capture_default_str();
  app.add_option("--port", options.port, "TCP port")->required();
  app.add_option("--path", options.path, "Of the requests")->capture_default_str();
  app.add_option("--curve", curve_file, "CSV: requests/s in the last column, one row a step")
      ->required();
  app.add_option("--peak", peak, "Scale the curve so that its highest row is this; 0: as it is");
  shadow::demo::AddDuration(app, "--step", options.step, "Length of a step, e.g. 1s");
  app.add_option("--seed", options.seed, "Of the send times within a step");
  app.add_flag("--fresh", fresh, "A fresh connection for each request");
  shadow::demo::AddDuration(app, "--timeout", options.timeout, "Of a request, e.g. 10s");
  app.add_option("--connections", options.connections_max, "At most so many at once");
  app.add_option("--report", report_file, "Write the JSON report here instead of to stdout");
  CLI11_PARSE(app, argc, argv);

  options.keep_alive = !fresh;
  absl::StatusOr<std::vector<double>> curve = shadow::demo::ReadCurve(curve_file);
  if (curve.ok() && peak > 0) curve = shadow::demo::ScaleToPeak(*std::move(curve), peak);
  if (!curve.ok()) {
    std::cerr << "shadow-demo-load: " << curve.status().message() << "\n";
    return 2;
  }
  options.rates = *std::move(curve);
  RaiseOpenFiles();
  return Replay(options, report_file);
}
