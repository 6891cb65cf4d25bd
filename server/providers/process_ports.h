// Ports for instances that are being made.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/providers/process_dna.h"
#include "server/providers/process_record.h"

namespace shadow {

// Thread-safe. `records` must outlive it.
class FreePorts {
 public:
  FreePorts(const RecordDirectory& records, std::string store_id)
      : records_(records), store_id_(std::move(store_id)) {}

  // One of the DNA's that nobody listens on and no record has. kResourceExhausted: there is none.
  absl::StatusOr<int> Take(const ProcessDna& dna);

  // It is in a record now, or free again.
  void Return(int port);

 private:
  const RecordDirectory& records_;
  const std::string store_id_;
  std::mutex mutex_;
  std::set<int> taken_;  // Not yet in a record.
};

}  // namespace shadow
