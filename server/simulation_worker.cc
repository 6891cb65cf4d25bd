#include "server/simulation_worker.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr int kNice = 10;

// Of the calling thread, as Linux has it. A refusal changes nothing but the priority.
void GiveWay() { setpriority(PRIO_PROCESS, 0, kNice); }

}  // namespace

SimulationWorker::SimulationWorker() : thread_([this] { Work(); }) {}

SimulationWorker::~SimulationWorker() { Shutdown(); }

absl::Status SimulationWorker::Post(const std::string& caller, std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::UnavailableError("the daemon is stopping");
    const auto of_caller =
        std::count_if(waiting_.begin(), waiting_.end(),
                      [&caller](const Waiting& waiting) { return waiting.caller == caller; });
    if (static_cast<size_t>(of_caller) >= kWaitingMaxOfCaller) {
      return absl::ResourceExhaustedError(absl::StrCat(kWaitingMaxOfCaller, " simulations of ",
                                                       caller,
                                                       " are waiting already; try again later"));
    }
    if (waiting_.size() >= kWaitingMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kWaitingMax, " simulations are waiting already; try again later"));
    }
    waiting_.push_back({.caller = caller, .job = std::move(job)});
  }
  filled_.notify_one();
  return absl::OkStatus();
}

absl::Status SimulationWorker::PostBackground(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::UnavailableError("the daemon is stopping");
    if (background_) return absl::ResourceExhaustedError("a background job waits already");
    background_ = std::move(job);
  }
  filled_.notify_one();
  return absl::OkStatus();
}

bool SimulationWorker::BackgroundMustEnd() const {
  const std::lock_guard lock(mutex_);
  return stopping_ || !waiting_.empty();
}

void SimulationWorker::Shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void SimulationWorker::Work() {
  GiveWay();
  while (true) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [this] { return stopping_ || !waiting_.empty() || background_; });
      if (!waiting_.empty()) {
        job = TakeLocked();
      } else if (background_) {
        job = std::exchange(background_, nullptr);
      } else {
        return;
      }
    }
    job();
  }
}

std::function<void()> SimulationWorker::TakeLocked() {
  auto next = std::find_if(waiting_.begin(), waiting_.end(), [this](const Waiting& waiting) {
    return waiting.caller != last_caller_;
  });
  if (next == waiting_.end()) next = waiting_.begin();
  std::function<void()> job = std::move(next->job);
  last_caller_ = std::move(next->caller);
  waiting_.erase(next);
  return job;
}

absl::StatusOr<std::vector<simulation::Replayed>> RunVariants(
    const simulation::CompiledReplay& replay, const std::function<bool()>& cancelled) {
  std::vector<v1::Pool> specs;
  for (const simulation::Variant& variant : replay.variants) specs.push_back(variant.spec);
  const simulation::ReplayOptions options{
      .leads = replay.leads,
      .instances_max = std::min(replay.host.Most(), simulation::kReplayInstancesMax),
      .first_scored = replay.first_scored,
      .cancelled = cancelled};
  const size_t threads = std::min(SimulationWorker::kThreadsOfRun, specs.size());
  const auto part = [&](size_t index) {
    const size_t begin = index * specs.size() / threads;
    const size_t end = (index + 1) * specs.size() / threads;
    return std::span(specs).subspan(begin, end - begin);
  };
  std::vector<absl::StatusOr<std::vector<simulation::Replayed>>> results(threads);
  {
    std::vector<std::jthread> others;
    for (size_t i = 1; i < threads; ++i) {
      others.emplace_back([&, i] {
        GiveWay();
        results[i] = simulation::ReplayAll(part(i), replay.series, options);
      });
    }
    results[0] = simulation::ReplayAll(part(0), replay.series, options);
  }
  std::vector<simulation::Replayed> all;
  for (auto& result : results) {
    if (!result.ok()) return result.status();
    std::move(result->begin(), result->end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace shadow
