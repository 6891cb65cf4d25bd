#include "server/api/supported.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "server/core/spec.h"

namespace shadow {

DnaQuestion QuestionOfDna(const Snapshot& snapshot, const v1::Dna& dna) {
  auto compiled = CompileDna(dna);
  if (!compiled.ok()) return {};
  DnaQuestion question{.providers = {},
                       .dna = std::make_shared<const CompiledDna>(*std::move(compiled))};
  std::set<std::string> asked;
  for (const auto& [name, pool] : snapshot.pools) {
    if (pool->pool.dna() != dna.name()) continue;
    auto provider = CompileProvider(pool->pool.provider());
    if (asked.insert(provider->key).second) question.providers.push_back(std::move(provider));
  }
  if (question.providers.empty()) {
    question.providers.push_back(DefaultProvider());
    question.meaning_alone = true;
  }
  return question;
}

DnaQuestion QuestionOfPool(const Snapshot& snapshot, const v1::Pool& pool) {
  const auto compiled_pool = CompilePool(pool);
  const auto dna = snapshot.dnas->find(pool.dna());
  if (!compiled_pool.ok() || dna == snapshot.dnas->end()) return {};
  auto compiled = CompileDna(dna->second);
  if (!compiled.ok()) return {};
  return {.providers = {compiled_pool->provider},
          .dna = std::make_shared<const CompiledDna>(*std::move(compiled))};
}

}  // namespace shadow
