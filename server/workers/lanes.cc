#include "server/workers/lanes.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"

namespace shadow {
namespace {

EffectResult Unfinished(uint64_t id, absl::Status status) {
  EffectResult result;
  result.id = id;
  result.status = std::move(status);
  return result;
}

// The jobs of the next call.
template <typename Waiting>
std::vector<Lanes::Job> TakeNext(Waiting& waiting) {
  std::vector<Lanes::Job> taken;
  taken.push_back(std::move(waiting.front()));
  waiting.pop_front();
  const auto most = static_cast<size_t>(taken.front().together_max);
  for (auto next = waiting.begin(); next != waiting.end() && taken.size() < most;) {
    if (next->together_max > 1) {
      taken.push_back(std::move(*next));
      next = waiting.erase(next);
    } else {
      ++next;
    }
  }
  return taken;
}

std::vector<EffectResult> Call(const std::vector<Lanes::Job>& jobs, const std::stop_token& stop) {
  std::vector<EffectResult> results;
  if (jobs.front().together_max > 1) {
    std::vector<Effect> effects;
    effects.reserve(jobs.size());
    for (const Lanes::Job& job : jobs) effects.push_back(job.effect);
    results = jobs.front().run_together(effects);
  } else {
    results.push_back(jobs.front().run(stop));
  }
  CHECK(results.size() == jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i) results[i].id = jobs[i].id;
  return results;
}

}  // namespace

Lanes::Lanes(Clock& clock, std::function<void(EffectResult)> done)
    : clock_(clock), done_(std::move(done)), watcher_([this] { Watch(); }) {}

Lanes::~Lanes() { Stop(); }

void Lanes::Submit(Job job) {
  std::vector<EffectResult> refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto lane = lanes_.try_emplace(job.lane).first;
    if (lane->second.stuck_subjects.contains(job.subject)) {
      refused.push_back(
          Unfinished(job.id, absl::AbortedError(absl::StrCat(
                                 job.lane, ": a call for the same has not returned in time"))));
    } else {
      lane->second.waiting.push_back(std::move(job));
      refused = Refuse(lane);
      OfferTurn(lane);
    }
  }
  Tell(std::move(refused));
}

void Lanes::Cancel(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto running = running_.find(id); running != running_.end()) {
      running->second.stop.request_stop();
      return;
    }
    bool waited = false;
    for (auto& [name, lane] : lanes_) {
      waited |= std::erase_if(lane.waiting, [id](const Job& job) { return job.id == id; }) > 0;
    }
    if (!waited) return;
  }
  done_(Unfinished(id, absl::CancelledError("cancelled before it began")));
}

void Lanes::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [id, running] : running_) running.stop.request_stop();
  }
  work_.notify_all();
  watch_.notify_all();
  // Nothing is added to `workers_` any more.
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  if (watcher_.joinable()) watcher_.join();
}

void Lanes::OfferTurn(LaneMap::iterator lane) {
  Lane& entry = lane->second;
  if (entry.has_turn || entry.waiting.empty()) return;
  if (entry.in_flight >= entry.waiting.front().in_flight_max) return;
  entry.has_turn = true;
  turns_.push_back(lane->first);
  work_.notify_one();
  if (stopping_ || turns_.size() <= idle_ || workers_.size() >= kWorkersMax) return;
  try {
    workers_.emplace_back([this] { Work(); });
  } catch (const std::system_error&) {
    if (workers_.empty()) throw;
    return;  // No more threads are to be had: those that there are go on.
  }
  ++idle_;
}

void Lanes::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !turns_.empty(); });
    if (stopping_) return;
    const auto lane = lanes_.find(turns_.front());
    turns_.pop_front();
    lane->second.has_turn = false;
    if (lane->second.waiting.empty()) {  // Cancelled meanwhile.
      Forget(lane);
    } else {
      Begin(lane, lock);
    }
  }
}

void Lanes::Begin(LaneMap::iterator lane, std::unique_lock<std::mutex>& lock) {
  const std::string name = lane->first;
  const std::vector<Job> jobs = TakeNext(lane->second.waiting);
  const Job& job = jobs.front();
  ++lane->second.in_flight;
  CHECK(lane->second.in_flight <= job.in_flight_max);
  CHECK(idle_ > 0);
  --idle_;
  OfferTurn(lane);  // Which adds a worker where none is idle.
  const absl::Duration deadline = clock_.Now().mono + job.time_limit;
  CHECK(!running_.contains(job.id));
  const auto running = running_.try_emplace(job.id).first;
  running->second.lane = name;
  for (const Job& each : jobs) {
    running->second.ids.push_back(each.id);
    if (!each.subject.empty()) running->second.subjects.push_back(each.subject);
  }
  running->second.time_limit = job.time_limit;
  running->second.deadline = deadline;
  const std::stop_token stop = running->second.stop.get_token();
  if (deadline < next_deadline_) watch_.notify_one();
  lock.unlock();
  std::vector<EffectResult> results = Call(jobs, stop);
  lock.lock();
  ++idle_;
  const bool counts = End(jobs);
  lock.unlock();
  if (counts) Tell(std::move(results));
  lock.lock();
}

bool Lanes::End(const std::vector<Job>& jobs) {
  const bool counts = running_.erase(jobs.front().id) > 0;
  const auto lane = lanes_.find(jobs.front().lane);
  CHECK(lane != lanes_.end());
  CHECK((counts ? lane->second.in_flight : lane->second.stuck) > 0);
  --(counts ? lane->second.in_flight : lane->second.stuck);
  for (const Job& job : jobs) {
    if (counts || job.subject.empty()) continue;
    const auto subject = lane->second.stuck_subjects.find(job.subject);
    CHECK(subject != lane->second.stuck_subjects.end());
    lane->second.stuck_subjects.erase(subject);
  }
  OfferTurn(lane);
  Forget(lane);
  return counts;
}

void Lanes::Watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const absl::Duration now = clock_.Now().mono;
    std::vector<EffectResult> late;
    next_deadline_ = absl::InfiniteDuration();
    for (auto running = running_.begin(); running != running_.end();) {
      const auto next = std::next(running);
      if (running->second.deadline <= now) {
        const auto lane = lanes_.find(running->second.lane);
        for (EffectResult& given_up : GiveUp(running)) late.push_back(std::move(given_up));
        for (EffectResult& refused : Refuse(lane)) late.push_back(std::move(refused));
        OfferTurn(lane);
      } else {
        next_deadline_ = std::min(next_deadline_, running->second.deadline);
      }
      running = next;
    }
    if (late.empty()) {
      clock_.WaitUntil(lock, watch_, next_deadline_);
      continue;
    }
    lock.unlock();
    Tell(std::move(late));
    lock.lock();
  }
}

std::vector<EffectResult> Lanes::GiveUp(std::map<uint64_t, Running>::iterator running) {
  Running& call = running->second;
  Lane& lane = lanes_.at(call.lane);
  CHECK(lane.in_flight > 0);
  --lane.in_flight;
  ++lane.stuck;
  lane.stuck_subjects.insert(call.subjects.begin(), call.subjects.end());
  call.stop.request_stop();
  std::vector<EffectResult> results;
  for (const uint64_t id : call.ids) {
    results.push_back(Unfinished(
        id, absl::DeadlineExceededError(absl::StrCat(call.lane, ": no answer within ",
                                                     absl::FormatDuration(call.time_limit)))));
  }
  running_.erase(running);
  return results;
}

// What waits in a lane that begins nothing any more.
std::vector<EffectResult> Lanes::Refuse(LaneMap::iterator lane) {
  std::vector<EffectResult> refused;
  if (lane->second.stuck < kStuckMax) return refused;
  for (const Job& job : lane->second.waiting) {
    refused.push_back(
        Unfinished(job.id, absl::AbortedError(absl::StrCat(lane->first, ": ", kStuckMax,
                                                           " calls have not returned in time"))));
  }
  lane->second.waiting.clear();
  return refused;
}

void Lanes::Forget(LaneMap::iterator lane) {
  const Lane& entry = lane->second;
  if (entry.in_flight + entry.stuck == 0 && entry.waiting.empty() && !entry.has_turn) {
    lanes_.erase(lane);
  }
}

void Lanes::Tell(std::vector<EffectResult> results) {
  for (EffectResult& result : results) done_(std::move(result));
}

}  // namespace shadow
