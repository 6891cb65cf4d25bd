#include "server/api/supported.h"

#include <set>
#include <string>

#include "server/core/spec.h"

namespace shadow {
namespace {

// A provider that cannot be made now refuses nothing: the pool's condition tells.
absl::Status ProviderSupports(const Adapters& adapters, const CompiledProvider& provider,
                              const CompiledDna& dna) {
  const absl::StatusOr<Provider*> made = adapters.providers->Get(provider);
  return made.ok() ? (*made)->Supports(dna) : absl::OkStatus();
}

}  // namespace

absl::Status CheckDnaSupported(const Adapters& adapters, const Snapshot& snapshot,
                               const v1::Dna& dna) {
  const auto compiled = CompileDna(dna);
  if (!compiled.ok()) return absl::OkStatus();
  std::set<std::string> asked;
  for (const auto& [name, pool] : snapshot.pools) {
    if (pool->pool.dna() != dna.name()) continue;
    const auto provider = CompileProvider(pool->pool.provider());
    if (!asked.insert(provider->key).second) continue;
    absl::Status supported = ProviderSupports(adapters, *provider, *compiled);
    if (!supported.ok()) return supported;
  }
  if (!asked.empty()) return absl::OkStatus();
  absl::Status supported = ProviderSupports(adapters, *DefaultProvider(), *compiled);
  // What it cannot enforce another kind may; its pool's provider is asked once there is a pool.
  return absl::IsFailedPrecondition(supported) ? absl::OkStatus() : supported;
}

absl::Status CheckPoolSupported(const Adapters& adapters, const Snapshot& snapshot,
                                const v1::Pool& pool) {
  const auto compiled_pool = CompilePool(pool);
  const auto dna = snapshot.dnas->find(pool.dna());
  if (!compiled_pool.ok() || dna == snapshot.dnas->end()) return absl::OkStatus();
  const auto compiled = CompileDna(dna->second);
  if (!compiled.ok()) return absl::OkStatus();
  return ProviderSupports(adapters, *compiled_pool->provider, *compiled);
}

}  // namespace shadow
