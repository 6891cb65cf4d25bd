#include "server/control_thread.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

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
      failed_(std::move(failed)),
      mailbox_(kCommandsMax, clock),
      snapshot_(loop.TakeSnapshot({}, {})),
      runner_(adapters, effect_workers,
              [this](EffectResult result) { mailbox_.PostEvent(std::move(result)); }) {}

absl::Status ControlThread::Post(Request request, std::function<void(Answer)> done) {
  return mailbox_.PostCommand({.request = std::move(request), .done = std::move(done)});
}

std::shared_ptr<const Snapshot> ControlThread::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

void ControlThread::Run() {
  Carry(loop_.Recover(clock_.Now()), nullptr);
  Publish();
  while (true) {
    auto contents = mailbox_.Take(loop_.NextTick());
    // Results first: they are what the commands' effects wait for.
    for (const EffectResult& result : contents.events) {
      Carry(loop_.OnResult(result, clock_.Now()), nullptr);
    }
    for (Command& command : contents.commands) Handle(std::move(command));
    const Instant begin = clock_.Now();
    if (loop_.NextTick() <= begin.mono) {
      Carry(loop_.Tick(begin), nullptr);
      last_tick_ = clock_.Now().mono - begin.mono;
      longest_tick_ = std::max(longest_tick_, last_tick_);
    }
    Publish();
    if (contents.closed) break;
  }
  runner_.Stop();
  while (std::optional<Ready> saves = loop_.Close(clock_.Now())) {
    Carry(*std::move(saves), nullptr);
  }
  std::unique_lock lock(mutex_);
  durable_.wait(lock, [&] { return commits_ == 0; });
}

void ControlThread::Handle(Command command) {
  ControlLoop::Handled handled = loop_.Handle(command.request, clock_.Now());
  Publish();  // Who has the answer reads at least that.
  auto answer = std::make_shared<Answer>(std::move(handled.answer));
  Carry(std::move(handled.ready),
        [answer, done = std::move(command.done)](const absl::Status& durable) {
          done(durable.ok() ? std::move(*answer) : Answer(durable));
        });
}

void ControlThread::Carry(Ready ready, std::function<void(const absl::Status&)> then) {
  if (ready.batch.ByteSizeLong() == 0) {
    RunEffects(ready.effects, ready.cancelled);
    if (then) then(absl::OkStatus());
    return;
  }
  const int64_t samples = SamplesOf(ready.batch);
  AwaitRoom(samples);
  std::vector<v1::Event> events(ready.batch.events().begin(), ready.batch.events().end());
  auto carried = [this, samples, effects = std::move(ready.effects),
                  cancelled = std::move(ready.cancelled), events = std::move(events),
                  then = std::move(then)](const absl::Status& durable) mutable {
    if (durable.ok()) {
      hub_.Publish(std::move(events));
      RunEffects(effects, cancelled);
    }
    if (then) then(durable);
    if (!durable.ok() && !store_failed_.exchange(true)) failed_(durable);
    // Under the lock: whoever sees the last commit done may destroy this.
    const std::lock_guard lock(mutex_);
    --commits_;
    commit_samples_ -= samples;
    durable_.notify_all();
  };
  store_.Commit(
      std::move(ready.batch),
      [carried = std::move(carried)](const absl::Status& durable) mutable { carried(durable); });
}

void ControlThread::RunEffects(std::vector<Effect>& effects,
                               const std::vector<uint64_t>& cancelled) {
  for (const uint64_t id : cancelled) runner_.Cancel(id);
  for (Effect& effect : effects) runner_.Submit(std::move(effect));
}

void ControlThread::AwaitRoom(int64_t samples) {
  std::unique_lock lock(mutex_);
  durable_.wait(lock, [&] {
    return commits_ < kCommitsMax &&
           (commit_samples_ == 0 || commit_samples_ + samples <= kCommitSamplesMax);
  });
  ++commits_;
  commit_samples_ += samples;
}

void ControlThread::Publish() {
  auto snapshot = loop_.TakeSnapshot(last_tick_, longest_tick_);
  const std::lock_guard lock(mutex_);
  snapshot_ = std::move(snapshot);
}

}  // namespace shadow
