// Drives the control loop: the one thread that owns it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <variant>

#include "server/core/clock.h"
#include "server/core/loop/control_loop.h"
#include "server/core/mailbox.h"
#include "server/effect_runner.h"
#include "server/event_hub.h"
#include "server/workers/dna_checks.h"
#include "server/workers/hints.h"
#include "storage/store.h"

namespace shadow {

class ControlThread {
 public:
  static constexpr size_t kCommandsMax = 1024;
  // Not yet durable, of both less than the store takes; the loop waits for room.
  static constexpr int kCommitsMax = 1024;
  static constexpr int64_t kCommitSamplesMax = 500'000;

  // All references must outlive it. `loop` is loaded. `failed` is called once, on the store's
  // thread, when a write could not be made durable: the daemon has to end.
  ControlThread(ControlLoop& loop, Store& store, Adapters& adapters, EventHub& hub, Clock& clock,
                int effect_workers, std::function<void(absl::Status)> failed);
  ~ControlThread();
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  // Runs until Close; then saves what Close of the loop saves, waits until it is durable, and ends
  // the calls into the world. One of them that never returns blocks it there.
  void Run();

  // The rest is thread-safe.
  void Close() { mailbox_.Close(); }

  // How far Run has come after Close.
  enum class End {
    kSaving,   // Something is not durable yet.
    kCalling,  // All is, but a call into the world has not returned.
    kDone,
  };
  // Waits for kDone, for `patience` at most.
  End AwaitEnd(absl::Duration patience);

  // What could not be made durable; nobody was told that it was. For the log.
  struct Unsaved {
    int changes = 0;  // With an event.
    int64_t samples = 0;
    int forecasts = 0;  // Of pools; they are learned again from the samples.
  };
  Unsaved unsaved() const;

  // `done` is called with the answer when it is durable, on another thread; or, if this returns an
  // error (kResourceExhausted, kUnavailable), never.
  absl::Status Post(Request request, std::function<void(Answer)> done);

  // Of the providers that the loop calls; stopped with the other calls into the world.
  DnaChecks& dna_checks() { return dna_checks_; }
  Providers& providers() { return providers_; }  // Thread-safe.

  void PostRoom(DiskRoom room) { mailbox_.PostEvent(std::move(room)); }
  void PostInstancesMax(int value) { mailbox_.PostEvent(InstancesMax{value}); }

  // For when the store does not get on: answers with `why` what was asked longer ago than
  // `patience` and has no answer yet. It may be done all the same; its own answer is dropped then.
  void AnswerOverdue(const absl::Status& why, absl::Duration patience);

  // Why it or the store is stuck: on one input, tick or write for `patience`. OK: neither is. A
  // write that the store tries again, as on a full disk, is not stuck, and neither is an input that
  // waits for the store.
  absl::Status CheckProgress(absl::Duration patience) const;

  // Of what is durable: whoever has the answer to a request finds at least that here.
  std::shared_ptr<const Snapshot> snapshot() const;

  struct TickTimes {
    absl::Duration last;
    absl::Duration longest;  // Since the start.
    absl::Duration total;    // Of all since the start.
    int64_t ticks = 0;       // Since the start.
  };
  TickTimes tick_times() const;

  // For metrics.
  struct Queues {
    size_t requests = 0;  // That no input has taken yet.
    size_t results = 0;   // Of calls, and other inputs.
    int commits = 0;      // Not yet durable.
  };
  Queues queues() const;
  const CallCounts& call_counts() const { return runner_.counts(); }

 private:
  // Of one request; whoever comes first answers it.
  class PendingAnswer {
   public:
    PendingAnswer(std::function<void(Answer)> done, absl::Duration since)
        : since_(since), done_(std::move(done)) {}

    absl::Duration since() const { return since_; }
    bool given() const;
    void Give(Answer answer);

   private:
    const absl::Duration since_;
    mutable std::mutex mutex_;
    std::function<void(Answer)> done_;  // Empty: it was given.
  };

  struct Command {
    Request request;
    std::shared_ptr<PendingAnswer> answer;  // Shared with `pending_`.
  };
  struct InstancesMax {
    int value;
  };
  struct Hinted {};  // Some wait in `hints_`.
  using Event = std::variant<EffectResult, DiskRoom, InstancesMax, Hinted>;

  // Once it and all that came before it are durable, shows what it changed, runs its effects, and
  // then `then`. It need not change anything itself: also an answer or an effect must not overtake
  // what it follows from.
  void Carry(Ready ready, std::function<void(const absl::Status&)> then);
  // On the control thread, or on the store's.
  void RunEffects(Ready& ready);
  void Show(std::shared_ptr<const Snapshot> snapshot);
  void AwaitRoom(int64_t samples);
  void Handle(Command command);
  void Handle(const Event& event);
  void SetEnd(End end);
  void SetStepSince(absl::Duration since);

  ControlLoop& loop_;
  Store& store_;
  EventHub& hub_;
  Clock& clock_;
  Providers& providers_;
  const std::function<void(absl::Status)> failed_;
  Mailbox<Command, Event> mailbox_;
  Hints hints_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable durable_;
  std::shared_ptr<const Snapshot> snapshot_;
  TickTimes tick_times_;
  std::deque<std::shared_ptr<PendingAnswer>> pending_;  // Oldest first; answered ones may be in it.
  int commits_ = 0;
  int64_t commit_samples_ = 0;
  // When it began, on the monotonic clock, what is under way. Infinite: nothing is.
  absl::Duration step_since_ = absl::InfiniteDuration();   // Of the control thread.
  absl::Duration write_since_ = absl::InfiniteDuration();  // Of the store.
  Unsaved unsaved_;
  End end_ = End::kSaving;
  std::condition_variable ended_;
  std::atomic<bool> store_failed_ = false;

  // The control thread's own.
  std::shared_ptr<const Snapshot> next_snapshot_;
  int64_t carried_revision_ = 0;  // Of the last event so far.

  DnaChecks dna_checks_;
  EffectRunner runner_;  // Last: its workers post to the mailbox.
};

}  // namespace shadow
