#include "server/probe_workers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

// "web/warm-up/shadow"
std::string LaneOf(const Effect& effect) {
  return absl::StrCat(effect.instance.pool,
                      effect.kind == Effect::Kind::kWarmUp ? "/warm-up" : "/check",
                      effect.instance.shadow.empty() ? "/base" : "/shadow");
}

}  // namespace

ProbeWorkers::ProbeWorkers(Probe probe, std::function<void(EffectResult)> done)
    : probe_(std::move(probe)), done_(std::move(done)) {}

ProbeWorkers::~ProbeWorkers() { Stop(); }

void ProbeWorkers::Submit(Effect effect) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const auto lane = lanes_.try_emplace(LaneOf(effect)).first;
  lane->second.waiting.push_back(std::move(effect));
  OfferTurn(lane);
}

void ProbeWorkers::Cancel(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto running = running_.find(id); running != running_.end()) {
      running->second.request_stop();
      return;
    }
    bool waited = false;
    for (auto& [name, lane] : lanes_) {
      waited |= std::erase_if(lane.waiting, [id](const Effect& e) { return e.id == id; }) > 0;
    }
    if (!waited) return;
  }
  EffectResult result;
  result.id = id;
  result.status = absl::CancelledError("cancelled before it began");
  done_(std::move(result));
}

void ProbeWorkers::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [id, stop] : running_) stop.request_stop();
  }
  work_.notify_all();
  // Nothing is added to `workers_` any more.
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ProbeWorkers::OfferTurn(Lanes::iterator lane) {
  Lane& entry = lane->second;
  if (entry.has_turn || entry.waiting.empty() || entry.in_flight >= kLaneInFlightMax) return;
  entry.has_turn = true;
  turns_.push_back(lane->first);
  work_.notify_one();
  if (stopping_ || turns_.size() <= idle_ || workers_.size() >= kWorkersMax) return;
  ++idle_;
  workers_.emplace_back([this] { Work(); });
}

void ProbeWorkers::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !turns_.empty(); });
    if (stopping_) return;
    const std::string name = std::move(turns_.front());
    turns_.pop_front();
    const auto lane = lanes_.find(name);
    lane->second.has_turn = false;
    if (lane->second.waiting.empty()) {  // Cancelled meanwhile.
      if (lane->second.in_flight == 0) lanes_.erase(lane);
      continue;
    }
    const Effect effect = std::move(lane->second.waiting.front());
    lane->second.waiting.pop_front();
    ++lane->second.in_flight;
    --idle_;
    OfferTurn(lane);  // Which adds a worker where none is idle.
    const std::stop_token stop = running_[effect.id].get_token();
    lock.unlock();
    EffectResult result = probe_(effect, stop);
    result.id = effect.id;
    lock.lock();
    ++idle_;
    Finish(name, effect.id);
    lock.unlock();
    done_(std::move(result));
    lock.lock();
  }
}

void ProbeWorkers::Finish(const std::string& lane_name, uint64_t id) {
  running_.erase(id);
  const auto lane = lanes_.find(lane_name);
  --lane->second.in_flight;
  OfferTurn(lane);
  if (lane->second.in_flight == 0 && lane->second.waiting.empty() && !lane->second.has_turn) {
    lanes_.erase(lane);
  }
}

}  // namespace shadow
