// Collects what is true of a running process instance (verify.h, Facts), away from its callers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/providers/facts/verify.h"
#include "server/providers/process_record.h"

namespace shadow {

// Everything that the DNA speaks of, read now. Blocks: for the hash of every data set, and up to 10
// s for each verify command. What is not there or may not be read is left empty, so that it differs
// from the DNA. kNotFound: the leader has ended. kCancelled: `stop` was asked for. Other errors:
// the host could not be asked (IsIncomplete), which says nothing of the instance.
absl::StatusOr<Facts> CollectFacts(const CompiledDna& dna, const ProcessRecord& record,
                                   const std::string& store_id, Clock& clock,
                                   const std::stop_token& stop);

// `connections` alone, if the DNA names some; quick.
absl::StatusOr<Facts> CollectConnections(const CompiledDna& dna, const ProcessRecord& record,
                                         const std::string& store_id);

// Collects on two threads of its own. Thread-safe; its destructor stops what is going on.
class FactsCollector {
 public:
  // As CollectFacts, of one instance.
  using Collect = std::function<absl::StatusOr<Facts>(
      const CompiledDna& dna, const ProcessRecord& record, const std::stop_token& stop)>;

  explicit FactsCollector(Collect collect);
  ~FactsCollector();

  // The facts of the instance, once, if they have been collected since the last time they were
  // taken; else unset, and they are being collected then. kResourceExhausted: 4096 instances are
  // waiting.
  absl::StatusOr<std::optional<Facts>> Take(const ProcessRecord& record,
                                            std::shared_ptr<const CompiledDna> dna);

  // Drops what is known or being collected of `id`.
  void Forget(const std::string& id);

 private:
  struct Job {
    uint64_t number = 0;  // Of the job; a forgotten job's result finds no job of its number.
    ProcessRecord record;
    std::shared_ptr<const CompiledDna> dna;  // The instances of a revision share it.
    std::optional<absl::StatusOr<Facts>> result;
  };

  void Run(const std::stop_token& stop);

  const Collect collect_;
  std::mutex mutex_;
  std::condition_variable_any work_;
  std::map<std::string, Job> jobs_;  // By instance id.
  std::deque<std::string> waiting_;
  uint64_t next_number_ = 1;
  std::vector<std::jthread> threads_;  // Last: they use everything above.
};

}  // namespace shadow
