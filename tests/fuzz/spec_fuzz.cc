// Specs of pools and DNAs, as text or as a message.
#include <cstdlib>

#include "server/core/spec.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/messages.h"

namespace shadow {
namespace {

// What was accepted is stored, and must be accepted by the next start.
void CompileAgain(const CompiledPool& compiled) {
  const auto again = CompilePool(compiled.pool);
  if (!again.ok() || again->pool.SerializeAsString() != compiled.pool.SerializeAsString()) abort();
  const absl::Time times[] = {absl::UnixEpoch(), absl::FromUnixSeconds(1'700'000'000)};
  for (const absl::Time time : times) {
    const Bounds bounds = BoundsAt(compiled, time, absl::Minutes(5));
    if (bounds.min_instances < 0 || bounds.min_instances > bounds.max_instances) abort();
  }
}

}  // namespace

void Fuzz(std::string_view bytes) {
  v1::Pool pool;
  if (ParseMessage(bytes, pool)) {
    const auto compiled = CompilePool(pool);
    if (compiled.ok()) CompileAgain(*compiled);
  }
  v1::Dna dna;
  if (ParseMessage(bytes, dna)) {
    const auto compiled = CompileDna(dna);
    if (compiled.ok()) {
      const auto again = CompileDna(compiled->dna);
      if (!again.ok() || again->revision_name != compiled->revision_name) abort();
    }
  }
}

}  // namespace shadow
