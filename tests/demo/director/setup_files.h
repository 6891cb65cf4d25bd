// The files that a replay is set up with: what a user would write by hand.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow::demo {

// Of one instance and of the pool; the curve's peak is chosen to need about eight of them.
inline constexpr double kWorkerCapacity = 50;    // Requests/s that a worker passes at most.
inline constexpr double kInstanceCapacity = 40;  // The same at its target utilisation of 80 %.
inline constexpr int kBaseInstances = 2;
inline constexpr int kSlots = 16;  // Of HAProxy's server-template.
inline constexpr int kStepsPerDay = 48;
inline constexpr int kStepsPerWeek = 7 * kStepsPerDay;

struct Setup {
  std::string directory;    // Absolute; all files and sockets of one replay.
  std::string examples;     // The folder client/examples: DNA and pool, and a page to serve.
  std::string worker;       // Absolute path of shadow-demo-worker.
  int http_port = 0;        // Where HAProxy listens.
  int worker_port_min = 0;  // kSlots ports from here on, twice over for replaced instances.
  bool predictive = true;   // The policy's sizing: PREDICTIVE or REACTIVE.

  std::string AdminSocket() const { return directory + "/haproxy.sock"; }
  std::string DaemonSocket() const { return directory + "/shadowd.sock"; }
  std::string Address() const { return "unix:" + DaemonSocket(); }
  std::string HaproxyFile() const { return directory + "/haproxy.cfg"; }
  std::string DaemonFile() const { return directory + "/shadowd.textproto"; }
  std::string WebFile() const { return directory + "/web.yaml"; }
  std::string PageFile() const { return directory + "/page.txt"; }
  std::string HistoryFile() const { return directory + "/history.csv"; }
  std::string LoadFile() const { return directory + "/load.csv"; }
  // In every worker's environment: tells whose it is, whatever happens to the daemon.
  std::string WorkerTag() const { return "SHADOW_DEMO_DIRECTORY=" + directory; }
};

std::string HaproxyConfig(const Setup& setup);
std::string DaemonConfig();
// DNA and pool, for `shadowctl apply`: client/examples/web.yaml with the places of this replay and
// a short day. `follow_haproxy`: the pool reads its demand from HAProxy's frontend; else it is
// pushed only. kNotFound: the file cannot be read. kFailedPrecondition: what is to be replaced is
// not there.
absl::StatusOr<std::string> WebYaml(const Setup& setup, bool follow_haproxy);
// What a worker answers with: the data set of that DNA. kNotFound.
absl::StatusOr<std::string> PageText(const Setup& setup);

// kUnavailable: WriteText could not write there. Changes nothing.
absl::Status CheckWritable(const std::string& path);
// kUnavailable: it cannot be written.
absl::Status WriteText(const std::string& path, const std::string& text);

}  // namespace shadow::demo
