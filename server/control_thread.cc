#include "server/control_thread.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/log/event_log.h"

namespace shadow {
namespace {

int64_t SamplesOf(const v1::WriteBatch& batch) {
  int64_t samples = 0;
  for (const v1::SampleBatch& of_pool : batch.samples()) samples += of_pool.samples_size();
  return samples;
}

}  // namespace

ControlThread::ControlThread(ControlLoop& loop, Store& store, Adapters& adapters, EventHub& hub,
                             Clock& clock, int effect_workers,
                             std::function<void(absl::Status)> failed)
    : loop_(loop),
      store_(store),
      hub_(hub),
      clock_(clock),
      providers_(*adapters.providers),
      failed_(std::move(failed)),
      mailbox_(kCommandsMax, clock),
      hints_(clock, [this] { mailbox_.PostEvent(Hinted{}); }),
      snapshot_(loop.TakeSnapshot()),
      next_snapshot_(snapshot_),
      dna_checks_([this](const CompiledProvider& provider) { return providers_.Get(provider); },
                  clock, EffectRunner::kCallTimeLimit - EffectRunner::kPromise),
      runner_(adapters, clock, {.provider_calls_max = effect_workers},
              [this](EffectResult result) { mailbox_.PostEvent(std::move(result)); }) {
  providers_.Listen([this](std::string_view id) { hints_.Note(id); });
}

ControlThread::~ControlThread() { providers_.Listen(nullptr); }

bool ControlThread::PendingAnswer::given() const {
  const std::lock_guard lock(mutex_);
  return !done_;
}

void ControlThread::PendingAnswer::Give(Answer answer) {
  std::function<void(Answer)> done;
  {
    const std::lock_guard lock(mutex_);
    done = std::exchange(done_, nullptr);
  }
  if (done) done(std::move(answer));
}

absl::Status ControlThread::Post(Request request, std::function<void(Answer)> done) {
  auto answer = std::make_shared<PendingAnswer>(std::move(done), clock_.Now().mono);
  absl::Status posted = mailbox_.PostCommand({.request = std::move(request), .answer = answer});
  if (!posted.ok()) return posted;
  const std::lock_guard lock(mutex_);
  while (!pending_.empty() && pending_.front()->given()) pending_.pop_front();
  pending_.push_back(std::move(answer));
  return absl::OkStatus();
}

void ControlThread::AnswerOverdue(const absl::Status& why, absl::Duration patience) {
  const absl::Duration now = clock_.Now().mono;
  std::vector<std::shared_ptr<PendingAnswer>> overdue;
  {
    const std::lock_guard lock(mutex_);
    while (!pending_.empty() && now - pending_.front()->since() >= patience) {
      overdue.push_back(std::move(pending_.front()));
      pending_.pop_front();
    }
  }
  for (const auto& answer : overdue) answer->Give(why);
}

std::shared_ptr<const Snapshot> ControlThread::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

ControlThread::TickTimes ControlThread::tick_times() const {
  const std::lock_guard lock(mutex_);
  return tick_times_;
}

ControlThread::Queues ControlThread::queues() const {
  const auto waiting = mailbox_.waiting();
  const std::lock_guard lock(mutex_);
  return {.requests = waiting.commands, .results = waiting.events, .commits = commits_};
}

absl::Status ControlThread::CheckProgress(absl::Duration patience) const {
  const bool retries = !store_.Stalled().ok();
  const absl::Duration begun_before = clock_.Now().mono - patience;
  const std::lock_guard lock(mutex_);
  if (step_since_ <= begun_before) {
    return absl::DeadlineExceededError(absl::StrCat("the control loop has worked on one input for ",
                                                    absl::FormatDuration(patience)));
  }
  if (!retries && write_since_ <= begun_before) {
    return absl::DeadlineExceededError(
        absl::StrCat("the store has worked on one write for ", absl::FormatDuration(patience)));
  }
  return absl::OkStatus();
}

void ControlThread::SetStepSince(absl::Duration since) {
  const std::lock_guard lock(mutex_);
  step_since_ = since;
}

void ControlThread::Run() {
  SetStepSince(clock_.Now().mono);
  Carry(loop_.Recover(clock_.Now()), nullptr);
  while (true) {
    const absl::Duration next_tick = loop_.NextTick();
    SetStepSince(absl::InfiniteDuration());
    auto contents = mailbox_.Take(next_tick);
    SetStepSince(clock_.Now().mono);
    // Results first: they are what the commands' effects wait for.
    for (const Event& event : contents.events) Handle(event);
    for (Command& command : contents.commands) Handle(std::move(command));
    const Instant begin = clock_.Now();
    if (loop_.NextTick() <= begin.mono) {
      Carry(loop_.Tick(begin), nullptr);
      const absl::Duration took = clock_.Now().mono - begin.mono;
      const std::lock_guard lock(mutex_);
      tick_times_ = {.last = took,
                     .longest = std::max(tick_times_.longest, took),
                     .total = tick_times_.total + took,
                     .ticks = tick_times_.ticks + 1};
    }
    if (contents.closed) break;
  }
  // First what is to last: calls into the world may never return.
  while (std::optional<Ready> saves = loop_.Close(clock_.Now())) {
    Carry(*std::move(saves), nullptr);
  }
  {
    std::unique_lock lock(mutex_);
    step_since_ = absl::InfiniteDuration();
    durable_.wait(lock, [&] { return commits_ == 0; });
  }
  SetEnd(End::kCalling);
  runner_.Stop();
  dna_checks_.Stop();
  SetEnd(End::kDone);
}

void ControlThread::SetEnd(End end) {
  const std::lock_guard lock(mutex_);
  end_ = end;
  ended_.notify_all();
}

ControlThread::End ControlThread::AwaitEnd(absl::Duration patience) {
  const absl::Duration deadline = clock_.Now().mono + patience;
  std::unique_lock lock(mutex_);
  while (end_ != End::kDone && clock_.Now().mono < deadline) {
    clock_.WaitUntil(lock, ended_, deadline);
  }
  return end_;
}

ControlThread::Unsaved ControlThread::unsaved() const {
  const std::lock_guard lock(mutex_);
  return unsaved_;
}

void ControlThread::Handle(const Event& event) {
  const Instant now = clock_.Now();
  if (const auto* room = std::get_if<DiskRoom>(&event)) {
    Carry(loop_.OnRoom(*room, now), nullptr);
  } else if (const auto* limit = std::get_if<InstancesMax>(&event)) {
    Carry(loop_.OnInstancesMax(limit->value, now), nullptr);
  } else if (std::holds_alternative<Hinted>(event)) {
    Carry(loop_.OnHints(hints_.Take(), now), nullptr);
  } else {
    Carry(loop_.OnResult(std::get<EffectResult>(event), now), nullptr);
  }
}

void ControlThread::Handle(Command command) {
  ControlLoop::Handled handled = loop_.Handle(command.request, clock_.Now());
  auto answer = std::make_shared<Answer>(std::move(handled.answer));
  Carry(std::move(handled.ready),
        [answer, pending = std::move(command.answer)](const absl::Status& durable) {
          pending->Give(durable.ok() ? std::move(*answer) : Answer(durable));
        });
}

void ControlThread::Carry(Ready ready, std::function<void(const absl::Status&)> then) {
  auto snapshot = loop_.TakeSnapshot();
  const bool shows = snapshot != next_snapshot_;
  next_snapshot_ = snapshot;
  const bool runs = !ready.effects.empty() || !ready.cancelled.empty() || !ready.gone_pools.empty();
  if (!shows && !runs && !then && ready.batch.ByteSizeLong() == 0) return;
  const int64_t samples = SamplesOf(ready.batch);
  AwaitRoom(samples);
  std::vector<v1::Event> events(ready.batch.events().begin(), ready.batch.events().end());
  if (!events.empty()) {
    CHECK(events.front().revision() > carried_revision_);
    carried_revision_ = events.back().revision();
  }
  const int forecasts = ready.batch.put_forecasters_size();
  v1::WriteBatch batch = std::move(ready.batch);
  auto carried = [this, samples, forecasts, snapshot = std::move(snapshot),
                  ready = std::move(ready), events = std::move(events),
                  then = std::move(then)](const absl::Status& durable) mutable {
    if (durable.ok()) {
      Show(std::move(snapshot));
      CHECK(events.size() == ready.log_levels.size());
      for (size_t i = 0; i < events.size(); ++i) LogEvent(events[i], ready.log_levels[i]);
      hub_.Publish(events);
      RunEffects(ready);
    }
    if (then) then(durable);
    if (!durable.ok() && !store_failed_.exchange(true)) failed_(durable);
    // Under the lock: whoever sees the last commit done may destroy this.
    const std::lock_guard lock(mutex_);
    CHECK(commits_ > 0 && commit_samples_ >= samples);
    if (!durable.ok()) {
      unsaved_.changes += events.empty() ? 0 : 1;
      unsaved_.samples += samples;
      unsaved_.forecasts += forecasts;
    }
    --commits_;
    write_since_ = commits_ == 0 ? absl::InfiniteDuration() : clock_.Now().mono;
    commit_samples_ -= samples;
    durable_.notify_all();
  };
  store_.Commit(std::move(batch), [carried = std::move(carried)](
                                      const absl::Status& durable) mutable { carried(durable); });
}

void ControlThread::RunEffects(Ready& ready) {
  for (const std::string& pool : ready.gone_pools) runner_.Forget(pool);
  for (const uint64_t id : ready.cancelled) runner_.Cancel(id);
  for (Effect& effect : ready.effects) runner_.Submit(std::move(effect));
}

void ControlThread::AwaitRoom(int64_t samples) {
  std::unique_lock lock(mutex_);
  step_since_ = absl::InfiniteDuration();  // Waiting for the store is no work.
  durable_.wait(lock, [&] {
    return commits_ < kCommitsMax &&
           (commit_samples_ == 0 || commit_samples_ + samples <= kCommitSamplesMax);
  });
  step_since_ = clock_.Now().mono;
  if (commits_ == 0) write_since_ = step_since_;
  ++commits_;
  commit_samples_ += samples;
}

void ControlThread::Show(std::shared_ptr<const Snapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  snapshot_.swap(snapshot);  // The old one is freed outside the lock.
}

}  // namespace shadow
