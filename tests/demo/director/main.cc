// shadow-demo: shadowd's main job on real processes, a real load balancer and a real demand trace.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/demo/director/replay.h"

namespace shadow::demo {
namespace {

constexpr double kPeak = 320;  // Requests/s: (320 - 2 x 40) / 40 = 6 instances above the base.
constexpr int kWorkerPortMin = 21000;
constexpr int kWorkerPortsApart = 500;
constexpr int kKeptLoadSteps = 3600;

// In the walk of README.md, where the link to the kept demonstration lies.
constexpr char kLinkInWalk[] = "build/demo";

struct Flags {
  bool keep = false;
  std::string link;  // Absolute.
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

// The commands of the first block of code in README.md, but for its first line, which has begun
// this. `directory`: of the demonstration, or a link to it. Empty: there is no README.md any more.
std::string WalkOf(const std::string& readme, const std::string& directory) {
  std::ifstream file(readme);
  std::string walk;
  bool inside = false;
  bool begun = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```" && begun) break;
    if (begun) absl::StrAppend(&walk, "  ", line, "\n");
    if (inside && line.starts_with("./quickstart")) begun = true;
    if (line.starts_with("```")) inside = !inside;
  }
  return absl::StrReplaceAll(walk, {{kLinkInWalk, directory}});
}

// kFailedPrecondition: at `path` is something else than a link that leads nowhere; that is removed.
absl::Status ClearLink(const std::string& path) {
  std::error_code error;
  const bool is_link = std::filesystem::is_symlink(path, error);
  if (std::filesystem::exists(path, error)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is there already", is_link ? absl::StrCat("; to end it: ", path, "/stop") : ""));
  }
  if (is_link) std::filesystem::remove(path, error);
  return absl::OkStatus();
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
    if (flags_.keep && !flags_.link.empty()) {
      if (absl::Status status = ClearLink(flags_.link); !status.ok()) return status;
    }
    // What is kept comes last, so that its demand goes on without a gap.
    const bool first = !flags_.keep;
    const absl::StatusOr<ReplayResult> one = Replay(*plan, first);
    if (!one.ok()) return one.status();
    const absl::StatusOr<ReplayResult> other = Replay(*plan, !first);
    if (!other.ok()) return other.status();
    const absl::StatusOr<ReplayResult>& with_shadow = first ? one : other;
    const absl::StatusOr<ReplayResult>& without_shadow = first ? other : one;
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
      status = stack->BeginLoad(RatesAfter(plan, kKeptLoadSteps), plan.step);
      kept_ = std::move(stack);
      return status.ok() ? result : absl::StatusOr<ReplayResult>(status);
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
    const std::string& link = flags_.link;
    if (absl::Status kept = kept_->Keep(directory_.path(), link); !kept.ok()) return kept;
    directory_.Keep();
    if (!link.empty()) {
      std::error_code error;
      std::filesystem::create_directory_symlink(directory_.path(), link, error);
      if (error) return absl::UnavailableError(absl::StrCat(link, ": ", error.message()));
    }
    view_.Say(absl::StrCat("It is still up, under load for an hour. To try it, and to end it:\n\n",
                           WalkOf(SHADOW_DEMO_README, link.empty() ? directory_.path() : link)));
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
  app.add_flag("--keep", flags.keep,
               "Leave the replay with shadows up, under load, to try shadowctl");
  app.add_option("--link", flags.link, "With --keep: make this a link to its directory")
      ->type_name("PATH");
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
  if (!flags.link.empty()) flags.link = std::filesystem::absolute(flags.link).string();
  const absl::Status status = Demonstration(flags, interrupt).Run();
  if (absl::IsCancelled(status)) return 130;
  if (status.ok()) return 0;
  std::cerr << "shadow-demo: " << status.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace shadow::demo

int main(int argc, char** argv) { return shadow::demo::Main(argc, argv); }
