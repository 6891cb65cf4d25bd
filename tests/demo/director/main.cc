// shadow-demo: shadowd's main job on real processes, a real load balancer and a real demand trace.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "tests/demo/director/replay.h"

namespace shadow::demo {
namespace {

constexpr double kPeak = 320;  // Requests/s: (320 - 2 x 40) / 40 = 6 instances above the base.
constexpr int kWorkerPortMin = 21000;
constexpr int kWorkerPortsApart = 500;

struct Flags {
  bool keep = false;
  std::string report_file;
  int steps_max = INT_MAX;
  uint64_t seed = 1;
};

// Removed with all that is in it when destroyed, unless kept.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "shadow-demo-XXXXXX").string();
    if (mkdtemp(path.data()) != nullptr) path_ = path;
  }
  ~TemporaryDirectory() {
    std::error_code error;
    if (!path_.empty() && !kept_) std::filesystem::remove_all(path_, error);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }  // Empty: it could not be made.
  void Keep() { kept_ = true; }

 private:
  std::string path_;
  bool kept_ = false;
};

// A port that was free a moment ago. 0: none.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

std::string OwnDirectory() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

class Demonstration {
 public:
  Demonstration(const Flags& flags, Interrupt& interrupt)
      : flags_(flags),
        interrupt_(interrupt),
        view_(std::cout, IsTerminal(), IsTerminal() && std::getenv("NO_COLOR") == nullptr),
        bin_directory_(OwnDirectory()) {}

  absl::Status Run() {
    if (directory_.path().empty()) return absl::UnavailableError("no temporary directory");
    absl::StatusOr<ReplayPlan> plan = PlanReplay(SHADOW_DEMO_TRACE, kPeak, flags_.steps_max);
    if (!plan.ok()) return plan.status();
    plan->seed = flags_.seed;
    if (!flags_.report_file.empty()) {
      if (absl::Status status = CheckWritable(flags_.report_file); !status.ok()) return status;
    }
    const absl::StatusOr<ReplayResult> with_shadow = Replay(*plan, true);
    if (!with_shadow.ok()) return with_shadow.status();
    const absl::StatusOr<ReplayResult> without_shadow = Replay(*plan, false);
    if (!without_shadow.ok()) return without_shadow.status();
    view_.Say(absl::StrCat("\n", ComparisonTable(*with_shadow, *without_shadow)));
    if (!flags_.report_file.empty()) {
      absl::Status status =
          WriteText(flags_.report_file, ComparisonJson(*with_shadow, *without_shadow));
      if (!status.ok()) return status;
    }
    return kept_ != nullptr ? Keep() : absl::OkStatus();
  }

 private:
  static bool IsTerminal() {
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  }

  absl::StatusOr<ReplayResult> Replay(const ReplayPlan& plan, bool predictive) {
    const std::string title = predictive ? "with shadows" : "without shadows";
    view_.Say(absl::StrCat("\nReplay ", title, ": starting shadowd, HAProxy and ", kBaseInstances,
                           " base instances ..."));
    const Setup setup{
        .directory = absl::StrCat(directory_.path(), predictive ? "/with" : "/without"),
        .examples = SHADOW_DEMO_EXAMPLES,
        .worker = bin_directory_ + "/shadow-demo-worker",
        .http_port = FreePort(),
        .worker_port_min = kWorkerPortMin + (predictive ? 0 : kWorkerPortsApart),
        .predictive = predictive};
    auto stack = std::make_unique<Stack>(setup, bin_directory_, clock_, interrupt_);
    absl::Status status = stack->Start();
    absl::StatusOr<ReplayResult> result =
        status.ok() ? RunReplay(plan, title, *stack, view_, clock_, interrupt_)
                    : absl::StatusOr<ReplayResult>(status);
    if (result.ok() && predictive && flags_.keep) {
      kept_ = std::move(stack);
      return result;
    }
    if (!result.ok() && !absl::IsCancelled(result.status())) {
      result = absl::Status(
          result.status().code(),
          absl::StrCat(std::string(result.status().message()), "\n", stack->Diagnosis()));
    }
    view_.Say(interrupt_.Requested() ? "\nInterrupted: ending everything ..."
                                     : "Deleting the shadow pool and the pool ...");
    status = stack->Stop();
    if (!result.ok()) return result;
    if (!status.ok()) return status;
    return result;
  }

  absl::Status Keep() {
    if (absl::Status held = kept_->HoldShadow(); !held.ok()) return held;
    const absl::StatusOr<std::string> script = kept_->Keep(directory_.path());
    if (!script.ok()) return script.status();
    directory_.Keep();
    const Setup& setup = kept_->setup();
    view_.Say(absl::StrCat(
        "It is still up, with a shadow pool that is held for an hour; HAProxy "
        "listens on 127.0.0.1:",
        setup.http_port, ". To try:\n\n  export SHADOWD_ADDRESS=", setup.Address(),
        "\n  export PATH=$PATH:", bin_directory_,
        "\n  shadowctl status\n  shadowctl pool get web\n"
        "  shadowctl shadow get web\n  shadowctl forecast web\n"
        "  shadowctl decisions web\n  shadowctl why web\n"
        "  shadowctl shadow activate web --level 50 --wait\n"
        "  shadowctl shadow instances web\n"
        "  shadowctl shadow activate web --level 0 --wait\n"
        "  shadowctl shadow release web\n"
        "  shadowctl events --watch\n  curl http://127.0.0.1:",
        setup.http_port, "/\n\nTo stop it and remove its directory:\n\n  ", *script, "\n"));
    return absl::OkStatus();
  }

  const Flags& flags_;
  Interrupt& interrupt_;
  SystemClock clock_;
  TemporaryDirectory directory_;
  View view_;
  const std::string bin_directory_;
  std::unique_ptr<Stack> kept_;
};

int Main(int argc, char** argv) {
  CLI::App app{
      "Replays a day of real demand in about a minute, with shadow pools and without, on real "
      "processes behind a real HAProxy, and compares the two"};
  Flags flags;
  app.add_flag("--keep", flags.keep, "Leave the daemon of the first replay up, to try shadowctl");
  app.add_option("--report", flags.report_file, "Write the comparison to this file, as JSON");
  app.add_option("--steps", flags.steps_max, "Replay at most so many steps of a second")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", flags.seed, "Of the send times within a step");
  CLI11_PARSE(app, argc, argv);

  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Interrupt interrupt;
  const absl::Status status = Demonstration(flags, interrupt).Run();
  if (absl::IsCancelled(status)) return 130;
  if (status.ok()) return 0;
  std::cerr << "shadow-demo: " << status.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace shadow::demo

int main(int argc, char** argv) { return shadow::demo::Main(argc, argv); }
