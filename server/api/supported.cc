#include "server/api/supported.h"

#include <set>
#include <string>

#include "server/core/spec.h"

namespace shadow {
namespace {

absl::Status AnySupports(const Adapters& adapters, const CompiledDna& dna) {
  absl::Status refusal;
  for (const auto& [name, provider] : adapters.providers) {
    const absl::Status supported = provider->Supports(dna);
    if (supported.ok()) return supported;
    refusal.Update(supported);
  }
  return refusal;
}

absl::Status ProviderSupports(const Adapters& adapters, const std::string& name,
                              const CompiledDna& dna) {
  const auto provider = adapters.providers.find(name);
  return provider == adapters.providers.end() ? absl::OkStatus() : provider->second->Supports(dna);
}

}  // namespace

absl::Status CheckDnaSupported(const Adapters& adapters, const Snapshot& snapshot,
                               const v1::Dna& dna) {
  const auto compiled = CompileDna(dna);
  if (!compiled.ok()) return absl::OkStatus();
  std::set<std::string> asked;
  for (const auto& [name, pool] : snapshot.pools) {
    const std::string& provider = pool->pool.provider();
    if (pool->pool.dna() != dna.name() || !asked.insert(provider).second) continue;
    absl::Status supported = ProviderSupports(adapters, provider, *compiled);
    if (!supported.ok()) return supported;
  }
  return asked.empty() ? AnySupports(adapters, *compiled) : absl::OkStatus();
}

absl::Status CheckPoolSupported(const Adapters& adapters, const Snapshot& snapshot,
                                const v1::Pool& pool) {
  const auto compiled_pool = CompilePool(pool);
  const auto dna = snapshot.dnas->find(pool.dna());
  if (!compiled_pool.ok() || dna == snapshot.dnas->end()) return absl::OkStatus();
  const auto compiled = CompileDna(dna->second);
  if (!compiled.ok()) return absl::OkStatus();
  return ProviderSupports(adapters, compiled_pool->pool.provider(), *compiled);
}

}  // namespace shadow
