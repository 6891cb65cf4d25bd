#include "server/core/loop/status/count_figures.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

// Who costs something: it lives, or is being made.
bool Exists(const Member& member) {
  const v1::Instance::State state = member.record.instance().state();
  return state != v1::Instance::FAILED && state != v1::Instance::DELETING;
}

// Only one thread at a time writes.
template <typename T>
void Add(std::atomic<T>& figure, T value) {
  figure.store(figure.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

template <typename T>
void Set(std::atomic<T>& figure, T value) {
  figure.store(value, std::memory_order_relaxed);
}

}  // namespace

void NoteDecision(PoolEntry& pool, const v1::Decision& decision, bool recorded) {
  PoolFigures& figures = *pool.figures;
  const v1::Decision::Inputs& inputs = decision.inputs();
  Set(figures.demand,
      inputs.usage().has_demand() ? inputs.usage().demand() : PoolFigures::kUnknown);
  Set(figures.forecast,
      inputs.has_activation_quantile() ? inputs.activation_quantile() : PoolFigures::kUnknown);
  Set(figures.needed, pool.planning.needed);
  Set(figures.wanted, pool.planning.wanted);
  if (!recorded || decision.reasons_size() == 0) return;
  const auto reason = static_cast<size_t>(decision.reasons(0));
  if (reason < figures.decisions.size()) Add(figures.decisions[reason], int64_t{1});
}

void NoteStep(PoolEntry& pool, double demand) {
  const CompiledPool& spec = *pool.spec;
  const double each = spec.pool.instance_capacity();
  double capacity = spec.pool.external_capacity();
  int existing = 0;
  for (const auto& [id, member] : pool.members) {
    if (member.record.instance().state() == v1::Instance::ACTIVE) capacity += each;
    if (Exists(member)) ++existing;
  }
  PoolFigures& figures = *pool.figures;
  Add(demand <= capacity ? figures.steps_met : figures.steps_missed, int64_t{1});
  const double needed = std::ceil(std::max(0.0, demand - spec.pool.external_capacity()) / each);
  Add(figures.idle_seconds, std::max(0.0, existing - needed) * absl::ToDoubleSeconds(spec.step));
}

}  // namespace shadow
