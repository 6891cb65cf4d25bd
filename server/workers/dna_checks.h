// Asks providers whether they can enforce a DNA (Provider::Supports), for callers who wait for the
// answer: one that never answers costs them its deadline, and no thread of theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/workers/lanes.h"

namespace shadow {

// What is asked: whether each of `providers` supports `dna`.
struct DnaQuestion {
  std::vector<std::shared_ptr<const CompiledProvider>> providers;  // Each key once.
  std::shared_ptr<const CompiledDna> dna;  // Unset: nothing is asked, and the answer is OK.
  // No pool has chosen a provider yet: that one cannot enforce a field refuses nothing.
  bool meaning_alone = false;
};

// Thread-safe.
class DnaChecks {
 public:
  // Calls at one time, of each provider: once so many have not returned in time, what waits behind
  // them is refused, so nobody waits much longer than one call may take.
  static constexpr int kCallsMax = Lanes::kStuckMax;
  static constexpr size_t kQuestionsMax = 1024;  // That have no answer yet.

  // The provider, or why there is none now: it refuses nothing then.
  using Get = std::function<absl::StatusOr<Provider*>(const CompiledProvider&)>;
  using Done = std::function<void(const absl::Status&)>;

  // `slack`: how much longer than its traits say a call of a provider may take. What `get` returns
  // and `clock` must outlive it.
  DnaChecks(Get get, Clock& clock, absl::Duration slack);

  // Stop.
  ~DnaChecks();

  // `done` is called once, on another thread or at once, and must not block: with OK, or the first
  // error that a provider has answered. With ErrorReason PROVIDER_SILENT and the provider's name:
  // kDeadlineExceeded, if it has not answered in time, or kUnavailable, if it has not answered so
  // many others. kUnavailable also after Refuse. kResourceExhausted: too many wait.
  void Ask(const DnaQuestion& question, Done done);

  // Answers all that wait now and all later ones with kUnavailable.
  void Refuse();

  // Refuse; then waits for the calls that have begun. One that never returns blocks it.
  void Stop();

 private:
  struct Asked {
    Done done;
    int open = 0;  // Providers that have not answered.
  };

  void OnAnswer(uint64_t call, const absl::Status& status);

  const Get get_;
  const absl::Duration slack_;
  std::mutex mutex_;  // Guards what follows.
  bool refusing_ = false;
  uint64_t last_id_ = 0;                // Of questions and calls.
  std::map<uint64_t, Asked> asked_;     // Questions.
  std::map<uint64_t, uint64_t> calls_;  // Of those: the question of each call.
  Lanes lanes_;                         // Last: its workers use what is above.
};

}  // namespace shadow
