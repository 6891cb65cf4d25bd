// shadow-demo-worker: the demonstration's service as a program. See worker.h.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "CLI/CLI.hpp"
#include "server/core/clock.h"
#include "tests/demo/flags.h"
#include "tests/demo/worker.h"

namespace {

using shadow::demo::DemoWorker;
using shadow::demo::WorkerOptions;

constexpr char kVersion[] = "shadow-demo-worker 1.0.0";

// SIGTERM and SIGINT as a descriptor that becomes readable.
int BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

// The start-up cost: what a real service spends on loading and compiling. False: told to stop.
bool StartUp(absl::Duration startup, int stop_fd) {
  pollfd stop{.fd = stop_fd, .events = POLLIN, .revents = 0};
  return poll(&stop, 1, static_cast<int>(absl::ToInt64Milliseconds(startup))) == 0;
}

int Serve(WorkerOptions options, absl::Duration startup, const std::string& body_file) {
  const int stop_fd = BlockStopSignals();
  if (!body_file.empty()) {
    std::ifstream file(body_file);
    std::ostringstream content;
    content << file.rdbuf();
    if (!file) {
      std::cerr << "shadow-demo-worker: body: cannot read " << body_file << "\n";
      return 1;
    }
    options.body = content.str();
  }
  std::cout << "starting up" << std::endl;
  if (!StartUp(startup, stop_fd)) return 0;
  const shadow::SystemClock clock;
  auto worker = DemoWorker::Listen(options, clock);
  if (!worker.ok()) {
    std::cerr << "shadow-demo-worker: " << worker.status().message() << "\n";
    return 1;
  }
  std::cout << "listening on " << options.address << ":" << (*worker)->port() << std::endl;
  return (*worker)->Run(stop_fd);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"An HTTP worker with a start-up cost and a bounded capacity"};
  app.set_version_flag("--version", kVersion);
  WorkerOptions options;
  absl::Duration startup;
  std::string body_file;
  app.add_option("--address", options.address, "IPv4 address to listen on")->envname("POD_IP");
  app.add_option("--port", options.port, "TCP port; 0: any free one")->envname("PORT");
  shadow::demo::AddDuration(app, "--startup", startup, "Time before it listens, e.g. 3s");
  app.add_option("--capacity", options.capacity, "Requests/s that it can carry");
  shadow::demo::AddDuration(app, "--service-time", options.service_time,
                            "Time that a request takes, e.g. 40ms");
  app.add_option("--queue", options.queue_max, "Requests that wait; more get 503");
  app.add_option("--body", body_file, "File with the answer's body");
  app.add_option("--fail-after", options.faults.fail_after, "500 after so many requests");
  app.add_option("--slow-after", options.faults.slow_after, "Slow after so many requests");
  shadow::demo::AddDuration(app, "--slow-by", options.faults.slow_by, "How much slower");
  app.add_option("--fail-ratio", options.faults.fail_ratio, "500 for this share of requests");
  app.add_option("--exit-after", options.faults.exit_after, "Exits after so many requests");
  app.add_option("--seed", options.seed, "Of --fail-ratio");
  CLI11_PARSE(app, argc, argv);
  return Serve(options, startup, body_file);
}
