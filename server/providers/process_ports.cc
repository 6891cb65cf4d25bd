#include "server/providers/process_ports.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "server/providers/process_plan.h"

namespace shadow {

absl::StatusOr<int> FreePorts::Take(const ProcessDna& dna) {
  const std::lock_guard lock(mutex_);
  auto in_use = in_use_();
  if (!in_use.ok()) return in_use.status();
  std::set<int>& taken = *in_use;
  taken.insert(taken_.begin(), taken_.end());
  const int count = dna.port_max - dna.port_min + 1;
  const size_t first = std::hash<std::string>()(place_) % static_cast<size_t>(count);
  for (int i = 0; i < count; ++i) {
    const int port = dna.port_min + (static_cast<int>(first) + i) % count;
    if (taken.contains(port)) continue;
    const auto free = PortIsFree(port);
    if (!free.ok()) return free.status();
    if (!*free) continue;
    taken_.insert(port);
    return port;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no free port in ", dna.port_min, " to ", dna.port_max));
}

void FreePorts::Return(int port) {
  const std::lock_guard lock(mutex_);
  taken_.erase(port);
}

}  // namespace shadow
