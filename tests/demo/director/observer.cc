#include "tests/demo/director/observer.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace shadow::demo {
namespace {

using google::protobuf::util::TimeUtil;

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);
constexpr int kForecastEvery = 5;  // Polls.
constexpr int kForecastSteps = 12;
constexpr int kFullWeight = 100;

void CountOne(const v1::Instance& instance, InstanceCounts& counts) {
  switch (instance.state()) {
    case v1::Instance::CREATING:
    case v1::Instance::VERIFYING:
    case v1::Instance::SUSPENDING:
      ++counts.starting;
      return;
    case v1::Instance::SUSPENDED:
      ++counts.suspended;
      return;
    case v1::Instance::RESUMING:
    case v1::Instance::WARMING:
      ++counts.waking;
      return;
    case v1::Instance::ACTIVE:
      if (instance.weight_percent() < kFullWeight) {
        ++counts.waking;
      } else if (instance.role() == v1::Instance::BASE) {
        ++counts.base_serving;
      } else {
        ++counts.shadow_serving;
      }
      return;
    case v1::Instance::DRAINING:
      ++counts.draining;
      return;
    default:
      ++counts.ending;
  }
}

}  // namespace

InstanceCounts CountInstances(const std::vector<v1::Instance>& instances) {
  InstanceCounts counts;
  for (const v1::Instance& instance : instances) CountOne(instance, counts);
  return counts;
}

Observer::Observer(Api& api, Clock& clock, const Grid& grid)
    : api_(api), clock_(clock), grid_(grid), steps_(static_cast<size_t>(grid.steps)) {
  poll_thread_ = std::thread([this] { Poll(); });
  watch_thread_ = std::thread([this] { Watch(); });
}

Observer::~Observer() { Stop().IgnoreError(); }

absl::Status Observer::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  watch_context_.TryCancel();
  if (poll_thread_.joinable()) poll_thread_.join();
  if (watch_thread_.joinable()) watch_thread_.join();
  const std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

PoolState Observer::State() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

std::vector<StepState> Observer::Steps() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<StepState> means = steps_;
  for (StepState& step : means) {
    if (step.samples == 0) continue;
    const auto samples = static_cast<double>(step.samples);
    step.serving /= samples;
    step.running /= samples;
    step.suspended /= samples;
  }
  return means;
}

std::vector<Service> Observer::Services() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Service> services;
  for (const auto& [key, service] : services_) services.push_back(service);
  return services;
}

void Observer::Poll() {
  for (int poll = 0;; ++poll) {
    absl::Status status = PollOnce();
    if (poll % kForecastEvery == 0) PollForecast();
    std::unique_lock<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
    const absl::Duration next = clock_.Now().mono + kPollInterval;
    while (!stop_ && clock_.Now().mono < next) clock_.WaitUntil(lock, wake_, next);
    if (stop_) return;
  }
}

absl::Status Observer::PollOnce() {
  const auto instances = api_.ListInstances();
  if (!instances.ok()) return instances.status();
  const auto shadows = api_.ListShadowPools();
  if (!shadows.ok()) return shadows.status();
  const InstanceCounts counts = CountInstances(*instances);
  AddSample(counts);
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.counts = counts;
  state_.has_shadow = !shadows->empty();
  state_.target_instances = 0;
  state_.activation_level = 0;
  for (const v1::ShadowPool& shadow : *shadows) {
    state_.target_instances += shadow.target_instances();
    state_.activation_level = std::max(state_.activation_level, shadow.target_activation_level());
  }
  return absl::OkStatus();
}

void Observer::AddSample(const InstanceCounts& counts) {
  const absl::Duration since = clock_.Now().mono - grid_.start.mono;
  if (since < absl::ZeroDuration()) return;
  const auto index = static_cast<size_t>(since / grid_.step);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (index >= steps_.size()) return;
  StepState& step = steps_[index];
  ++step.samples;
  step.serving += counts.serving();
  step.running += counts.running();
  step.suspended += counts.suspended;
}

// A forecaster that cannot say anything yet is no error of the replay's.
void Observer::PollForecast() {
  const auto forecast = api_.GetForecast(kForecastSteps);
  if (!forecast.ok()) return;
  std::map<int, ForecastPoint> points;
  for (const v1::Forecast::Point& point : forecast->points()) {
    if (point.values_size() != 3) continue;
    const absl::Time time = absl::FromUnixNanos(TimeUtil::TimestampToNanoseconds(point.time()));
    const double step = absl::FDivDuration(time - grid_.start.wall, grid_.step);
    points[static_cast<int>(std::lround(step))] = {
        .low = point.values(0), .median = point.values(1), .high = point.values(2)};
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.forecast = std::move(points);
}

void Observer::Watch() {
  const auto reader = api_.Watch(watch_context_);
  v1::Event event;
  while (reader->Read(&event)) Note(event);
  reader->Finish();
}

void Observer::Note(const v1::Event& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (event.has_decision()) state_.last_decision = event.decision().explanation();
  if (!event.has_instance() || event.kind() == v1::Event::DELETED) return;
  const v1::Instance& instance = event.instance();
  if (instance.role() != v1::Instance::SHADOW || !instance.has_need_time() ||
      !instance.has_first_serve_time()) {
    return;
  }
  const int64_t need = TimeUtil::TimestampToNanoseconds(instance.need_time());
  const int64_t serve = TimeUtil::TimestampToNanoseconds(instance.first_serve_time());
  if (serve < need) return;
  services_[{instance.name(), need}] = {.woken = instance.woken(),
                                        .need_to_serve = absl::Nanoseconds(serve - need)};
}

}  // namespace shadow::demo
