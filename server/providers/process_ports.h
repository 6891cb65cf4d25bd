// Ports for instances that are being made.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/providers/process_dna.h"

namespace shadow {

// Thread-safe.
class FreePorts {
 public:
  // Of the instances that there are.
  using InUse = std::function<absl::StatusOr<std::set<int>>()>;

  // `place`: of the instances. Those of different places do not begin with the same port.
  FreePorts(InUse in_use, std::string place)
      : in_use_(std::move(in_use)), place_(std::move(place)) {}

  // One of the DNA's that nobody listens on and no instance has. kResourceExhausted: there is none.
  absl::StatusOr<int> Take(const ProcessDna& dna);

  // An instance has it now, or it is free again.
  void Return(int port);

 private:
  const InUse in_use_;
  const std::string place_;
  std::mutex mutex_;
  std::set<int> taken_;  // That no instance has yet.
};

}  // namespace shadow
