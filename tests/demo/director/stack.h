// Everything that one replay needs running: HAProxy, shadowd and the pool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/director/api.h"
#include "tests/demo/director/interrupt.h"
#include "tests/demo/director/programs.h"
#include "tests/demo/director/setup_files.h"

namespace shadow::demo {

// Main thread. `clock` and `interrupt` must outlive it. kCancelled everywhere: interrupted.
class Stack {
 public:
  // The least number of shadow instances of one that is kept.
  static constexpr int kKeptInstances = 4;

  // `bin_directory` holds shadowd and shadowctl.
  Stack(Setup setup, std::string bin_directory, const Clock& clock, Interrupt& interrupt);

  // Stops whatever still runs, without being gentle, unless it was kept.
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Writes the files, starts both daemons, applies DNA and pool, and waits until the base serves.
  absl::Status Start();

  // Imports `history`, whose last value is for the step that begins at `last_step`, and lets the
  // pool follow HAProxy from then on.
  absl::Status ImportHistory(const std::vector<double>& history, absl::Time last_step,
                             absl::Duration step);

  // Deletes shadow pools and pool, waits until their instances are gone, ends both daemons, and
  // makes sure that no worker is left. kInternal: says what had to be killed. Also after an
  // interrupt.
  absl::Status Stop();

  // Which of the daemons ended by itself, with the end of its log; empty: none.
  std::string Diagnosis();

  // Sends `rates`, in requests/s, one a step, from now on, and keeps a shadow pool whatever the
  // demand is. Returns once it is there.
  absl::Status BeginLoad(const std::vector<double>& rates, absl::Duration step);

  // Leaves it running, and writes two files into `directory`: `stop`, a script that ends it and
  // removes the directory and the link `link` to it (empty: there is none), and `env`, for a shell.
  absl::Status Keep(const std::string& directory, const std::string& link);

  Api& api() { return *api_; }
  const Setup& setup() const { return setup_; }
  const std::string& shadowctl() const { return shadowctl_; }

 private:
  absl::Status WriteFiles();
  absl::Status Control(const std::vector<std::string>& arguments);
  // Polls `done` until it returns OK; another error than kUnavailable ends the wait.
  template <typename Condition>
  absl::Status WaitFor(const char* what, absl::Duration timeout, bool interruptible,
                       Condition&& done);
  absl::Status DeletePool();

  const Setup setup_;
  const std::string bin_directory_;
  const std::string shadowd_;
  const std::string shadowctl_;
  const Clock& clock_;
  Interrupt& interrupt_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<Program> haproxy_;
  std::unique_ptr<Program> daemon_;
  std::unique_ptr<Program> load_;
  bool kept_ = false;
};

}  // namespace shadow::demo
