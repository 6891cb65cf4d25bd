#include "server/balancers/haproxy_statistics.h"

#include <algorithm>
#include <set>

namespace shadow {
namespace {

ResponseTimeSince::Reading ReadingOf(const HaproxyCounters& counters) {
  return {.responses = counters.responses, .average_ms = counters.response_time_ms};
}

}  // namespace

void HaproxyStatistics::Start(const std::string& address, const std::string& slot,
                              const HaproxySlots::Snapshot& snapshot, uint64_t use) {
  const HaproxyCounters& counters = snapshot.counters.at(slot);
  const std::lock_guard lock(mutex_);
  NoteEpoch(snapshot.epoch);
  baselines_.insert_or_assign(address,
                              Baseline{.slot = slot,
                                       .counters = counters,
                                       .response_time = ResponseTimeSince(ReadingOf(counters)),
                                       .use = use});
}

void HaproxyStatistics::Stop(const std::string& address) {
  const std::lock_guard lock(mutex_);
  baselines_.erase(address);
}

BalancerView HaproxyStatistics::Describe(const HaproxySlots::Snapshot& snapshot,
                                         absl::Duration mono) {
  const std::lock_guard lock(mutex_);
  NoteEpoch(snapshot.epoch);
  BalancerView view;
  view.slots = static_cast<int>(snapshot.slots.size());
  std::set<std::string> addresses;
  for (const HaproxyServer& slot : snapshot.slots) {
    if (slot.maintenance || slot.address == HaproxySlots::kFreeAddress) continue;
    if (!addresses.insert(slot.address).second) continue;
    view.members.push_back(
        DescribeMember(slot, snapshot.counters.at(slot.name), snapshot.uses_before));
  }
  // Who was added after the question was asked may be no member in the answer, but stays known.
  std::erase_if(baselines_, [&](const auto& entry) {
    return entry.second.use < snapshot.uses_before && !addresses.contains(entry.first);
  });
  DescribeBackend(snapshot, mono, view);
  return view;
}

void HaproxyStatistics::NoteEpoch(const std::string& epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  baselines_.clear();
  rate_start_.reset();
  errors_per_second_.reset();
  responses_before_.reset();
}

BalancerMember HaproxyStatistics::DescribeMember(const HaproxyServer& slot,
                                                 const HaproxyCounters& counters,
                                                 uint64_t uses_before) {
  auto found = baselines_.find(slot.address);
  if (found == baselines_.end() || found->second.slot != slot.name ||
      counters.requests < found->second.counters.requests) {
    Baseline first_sight{.slot = slot.name,
                         .counters = counters,
                         .response_time = ResponseTimeSince(ReadingOf(counters)),
                         .use = uses_before};
    found = baselines_.insert_or_assign(slot.address, std::move(first_sight)).first;
  }
  Baseline& baseline = found->second;
  baseline.response_time.Advance(ReadingOf(counters));

  BalancerMember member;
  member.address = slot.address;
  member.healthy = slot.up;
  member.draining = slot.draining;
  member.weight_percent = slot.draining ? 0 : std::min(slot.weight, kFullWeightPercent);
  member.in_flight = counters.in_flight;
  member.requests = counters.requests - baseline.counters.requests;
  member.errors = std::max<int64_t>(counters.errors - baseline.counters.errors, 0);
  member.response_time_ms = baseline.response_time.UsefulMeanMs();
  return member;
}

void HaproxyStatistics::DescribeBackend(const HaproxySlots::Snapshot& snapshot, absl::Duration mono,
                                        BalancerView& view) {
  int64_t queued = 0;
  for (const auto& [name, counters] : snapshot.counters) queued += counters.queued;
  view.queued_requests = static_cast<double>(queued);

  const HaproxyCounters& backend = snapshot.counters.at("BACKEND");
  if (!rate_start_ || backend.errors < rate_start_->counters.errors) {
    rate_start_ = BackendReading{.mono = mono, .counters = backend};
    errors_per_second_.reset();
  } else if (mono - rate_start_->mono >= kRateWindow) {
    errors_per_second_ = static_cast<double>(backend.errors - rate_start_->counters.errors) /
                         absl::ToDoubleSeconds(mono - rate_start_->mono);
    rate_start_ = BackendReading{.mono = mono, .counters = backend};
  }
  view.errors_per_second = errors_per_second_;

  // HAProxy's own mean of about the last 512 responses; without new ones it says nothing about now.
  if (responses_before_ && backend.responses > *responses_before_) {
    view.response_time_ms = static_cast<double>(backend.response_time_ms);
  }
  responses_before_ = backend.responses;
}

}  // namespace shadow
