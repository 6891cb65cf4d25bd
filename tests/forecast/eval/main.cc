// forecast-eval TASKS_DIR OUT_DIR: forecasts every task of a forecast benchmark.
//
// Reads TASKS_DIR/manifest.csv, quantiles.txt and <task_id>.csv; writes OUT_DIR/<task_id>.csv
// (step, then a column a quantile) and OUT_DIR/cpu.csv (CPU seconds of each task's thread). Every
// task stands alone. Exit code 1: something could not be read or written.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/memory.h"
#include "tests/forecast/eval/tasks.h"

namespace shadow::testing {
namespace {

double ThreadCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

absl::Status Write(const std::string& path, const std::vector<double>& quantiles,
                   const std::vector<std::vector<double>>& rows) {
  std::string text = "step";
  for (const double quantile : quantiles) absl::StrAppend(&text, ",q", quantile);
  text += "\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    absl::StrAppend(&text, i + 1);
    for (const double value : rows[i]) absl::StrAppendFormat(&text, ",%.7g", value);
    text += "\n";
  }
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

// One line on stderr, redrawn; nothing when that is not a terminal.
class Progress {
 public:
  explicit Progress(size_t tasks) : tasks_(tasks), shown_(isatty(STDERR_FILENO) == 1) {}

  void Add() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (!shown_) return;
    constexpr size_t kWidth = 40;
    const size_t filled = kWidth * done_ / tasks_;
    const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
    absl::FPrintF(stderr, "\r[%s] %d/%d%s", bar, done_, tasks_, done_ == tasks_ ? "\n" : "");
  }

 private:
  const size_t tasks_;
  const bool shown_;
  std::mutex mutex_;
  size_t done_ = 0;
};

class Evaluation {
 public:
  Evaluation(std::string in, std::string out, std::vector<Task> tasks,
             std::vector<double> quantiles)
      : in_(std::move(in)),
        out_(std::move(out)),
        tasks_(std::move(tasks)),
        quantiles_(std::move(quantiles)),
        cpu_seconds_(tasks_.size()),
        progress_(tasks_.size()) {}

  absl::Status Run() {
    std::vector<std::thread> workers;
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < cores; ++i) workers.emplace_back([this] { Work(); });
    for (std::thread& worker : workers) worker.join();
    if (!status_.ok()) return status_;
    std::ofstream file(out_ + "/cpu.csv");
    file << "task_id,cpu_s\n";
    for (size_t i = 0; i < tasks_.size(); ++i) {
      file << absl::StrFormat("%s,%.6f\n", tasks_[i].id, cpu_seconds_[i]);
    }
    file.close();
    return file ? absl::OkStatus() : absl::UnavailableError("cannot write cpu.csv");
  }

 private:
  void Work() {
    for (size_t i = next_++; i < tasks_.size(); i = next_++) {
      const absl::Status status = RunOne(i);
      if (!status.ok()) {
        const std::lock_guard lock(mutex_);
        status_ = absl::Status(status.code(), absl::StrCat(tasks_[i].id, ": ", status.message()));
      }
      progress_.Add();
    }
  }

  absl::Status RunOne(size_t i) {
    const auto history = ReadHistory(in_, tasks_[i].id);
    if (!history.ok()) return history.status();
    const double begin = ThreadCpuSeconds();
    const auto rows = RunTask(tasks_[i], *history, quantiles_);
    cpu_seconds_[i] = ThreadCpuSeconds() - begin;
    if (!rows.ok()) return rows.status();
    return Write(absl::StrCat(out_, "/", tasks_[i].id, ".csv"), quantiles_, *rows);
  }

  const std::string in_;
  const std::string out_;
  const std::vector<Task> tasks_;
  const std::vector<double> quantiles_;
  std::vector<double> cpu_seconds_;  // By task; each is written by one worker.
  Progress progress_;
  std::atomic<size_t> next_{0};
  std::mutex mutex_;
  absl::Status status_;
};

int Main(const std::string& in, const std::string& out) {
  std::error_code error;
  std::filesystem::create_directories(out, error);
  auto tasks = ReadManifest(in);
  auto quantiles = ReadQuantiles(in);
  absl::Status status = tasks.ok() ? quantiles.status() : tasks.status();
  if (status.ok()) {
    status = Evaluation(in, out, *std::move(tasks), *std::move(quantiles)).Run();
  }
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "forecast-eval: %s\n", status.message());
  return 1;
}

}  // namespace
}  // namespace shadow::testing

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();
  if (argc != 3) {
    absl::FPrintF(stderr, "usage: forecast-eval TASKS_DIR OUT_DIR\n");
    return 2;
  }
  return shadow::testing::Main(argv[1], argv[2]);
}
