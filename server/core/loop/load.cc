// ControlLoop::Load and its replay: from what the store holds to the world.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/control_loop.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/pool_open.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

absl::Status Damaged(std::string_view name, std::string_view problem) {
  return absl::DataLossError(
      absl::StrCat("the store's record of ", std::string(name), ": ", std::string(problem)));
}

absl::Status LoadDna(World& world, const v1::Dna& dna) {
  auto compiled = CompileDna(dna);
  if (!compiled.ok()) return Damaged(dna.name(), compiled.status().ToString());
  if (compiled->dna.revision() != dna.revision()) {
    return Damaged(dna.name(), absl::StrCat("revision ", dna.revision(), " has the content of ",
                                            compiled->dna.revision()));
  }
  compiled->dna = dna;
  DnaEntry& entry = world.dnas[LastId(dna.name())];
  const auto newest = entry.revisions.find(entry.newest);
  if (newest == entry.revisions.end() ||
      FromProto(newest->second.update_time()) < FromProto(dna.update_time())) {
    entry.newest = dna.revision();
  }
  entry.revisions[dna.revision()] = dna;
  const std::string name = compiled->revision_name;
  world.compiled[name] = std::make_shared<const CompiledDna>(*std::move(compiled));
  return absl::OkStatus();
}

RiseDetector::State StateOf(const v1::PlannerState::Rise& rise) {
  RiseDetector::State state{.errors_mean = {}, .response_mean = {}, .rising = rise.rising()};
  if (rise.has_errors_mean()) state.errors_mean = rise.errors_mean();
  if (rise.has_response_mean()) state.response_mean = rise.response_mean();
  return state;
}

absl::Status LoadPool(World& world, const v1::PoolRecord& record, Instant now) {
  const std::string& name = record.pool().name();
  auto compiled = CompilePool(record.pool());
  if (!compiled.ok()) return Damaged(name, compiled.status().ToString());
  if (!world.compiled.contains(record.pool().dna_revision())) {
    return Damaged(name, absl::StrCat("there is no ", record.pool().dna_revision()));
  }
  const std::string id = LastId(name);
  PoolEntry& pool = world.pools[id];
  pool.id = id;
  pool.record = record;
  MigrateLeads(pool.record);
  pool.spec = std::make_shared<const CompiledPool>(*std::move(compiled));
  const v1::PlannerState& planner = record.planner();
  pool.planning.wanted = planner.wanted();
  pool.planning.needed = planner.needed();
  pool.planning.rise = RiseDetector(StateOf(planner.rise()));
  OpenPool(world, pool, now);
  world.changed_pools.insert(pool.id);
  return absl::OkStatus();
}

absl::Status LoadShadow(World& world, const v1::ShadowRecord& record) {
  const auto name = ParseShadowName(record.shadow().name(), "name");
  if (!name.ok()) return Damaged(record.shadow().name(), name.status().ToString());
  const int level = record.shadow().target_activation_level();
  if (record.shadow().target_instances() < 0 || level < 0 || level > 100) {
    return Damaged(record.shadow().name(), "its target is none");
  }
  const auto pool = world.pools.find(name->pool);
  if (pool == world.pools.end()) return Damaged(record.shadow().name(), "its pool is not there");
  pool->second.shadows[name->shadow].record = record;
  return absl::OkStatus();
}

absl::Status LoadInstance(World& world, const v1::InstanceRecord& record) {
  const std::string& name = record.instance().name();
  const auto parsed = ParseInstanceName(name, "name");
  if (!parsed.ok()) return Damaged(name, parsed.status().ToString());
  const v1::Instance::State state = record.instance().state();
  if (!v1::Instance::State_IsValid(state) || state == v1::Instance::STATE_UNSPECIFIED) {
    return Damaged(name, absl::StrCat(static_cast<int>(state), " is no state"));
  }
  Member member;
  member.id = parsed->id;
  member.shadow = parsed->shadow;
  member.record = record;
  const auto pool = world.pools.find(parsed->pool);
  if (pool == world.pools.end() ||
      (!member.shadow.empty() && !pool->second.shadows.contains(member.shadow))) {
    return Damaged(name, "its pool or shadow pool is not there");
  }
  const auto dna = world.compiled.find(record.instance().dna_revision());
  if (dna == world.compiled.end()) {
    return Damaged(name, absl::StrCat("there is no ", record.instance().dna_revision()));
  }
  member.dna = dna->second;
  ++world.instances;
  const std::string id = member.id;
  pool->second.members.emplace(id, std::move(member));
  return absl::OkStatus();
}

}  // namespace

absl::Status ControlLoop::Load(const v1::StoreContents& contents, Instant now) {
  world_.store_id = contents.store_id();
  world_.lineage = LineageOf(contents);
  world_.revision = contents.last_revision();
  world_.decision_id = contents.last_decision_id();
  absl::Status status;
  for (const auto& record : contents.dnas()) status.Update(LoadDna(world_, record.dna()));
  for (const auto& record : contents.pools()) status.Update(LoadPool(world_, record, now));
  for (const auto& record : contents.shadows()) status.Update(LoadShadow(world_, record));
  for (const auto& record : contents.instances()) status.Update(LoadInstance(world_, record));
  for (const auto& record : contents.requests()) {
    world_.requests[record.request_id()] = {.record = record, .since = now.mono};
  }
  if (!status.ok()) return status;
  for (auto& [id, pool] : world_.pools) {
    if (options_.make_forecaster) pool.forecaster = options_.make_forecaster(*pool.spec);
  }
  std::vector<std::pair<Forecaster*, const std::string*>> restores;
  for (const auto& record : contents.forecasters()) {
    const auto pool = world_.pools.find(LastId(record.pool()));
    if (pool == world_.pools.end()) continue;
    // What cannot be read is learned again from the samples, and both of them together.
    PoolEntry& entry = pool->second;
    absl::Status restored = entry.capacity->Restore(record.capacity());
    const bool began = restored.ok();
    if (began) restored = entry.forecaster->Restore(record.state());
    if (restored.ok()) {
      restores.emplace_back(entry.forecaster.get(), &record.fits());
      continue;
    }
    AddFinding(record.pool(),
               absl::StrCat("its saved forecast cannot be used and was dropped; the pool learns "
                            "again from its samples: ",
                            restored.message()));
    if (!began) continue;
    entry.capacity.reset();
    OpenForecasts(entry);
  }
  options_.parallel_for(restores.size(),
                        [&](size_t i) { restores[i].first->RestoreFits(*restores[i].second); });
  return absl::OkStatus();
}

void ControlLoop::AddFinding(std::string name, std::string text) {
  findings_.emplace_back(std::move(name), std::move(text));
}

absl::Time ControlLoop::ReplayFrom(const std::string& pool_name) const {
  const auto pool = world_.pools.find(LastId(pool_name));
  if (pool == world_.pools.end()) return absl::InfiniteFuture();
  const absl::Time last = pool->second.forecaster->LastStep();
  // That step again: it is counted no more, but its last sample may be the newest of all.
  return last == absl::InfinitePast() ? last : last - absl::Nanoseconds(1);
}

std::vector<Forecaster*> ControlLoop::LostFits() {
  std::vector<Forecaster*> lost;
  for (auto& [id, pool] : world_.pools) {
    Forecaster& forecaster = *pool.forecaster;
    if (forecaster.FitDue() && forecaster.AwaitsFit(forecaster.LastStep())) {
      lost.push_back(&forecaster);
    }
  }
  return lost;
}

void ControlLoop::SetFirstSample(const std::string& pool_name, absl::Time time) {
  const auto pool = world_.pools.find(LastId(pool_name));
  if (pool == world_.pools.end()) return;
  *pool->second.record.mutable_first_sample_time() = ToProto(time);
}

void ControlLoop::Replay(const std::string& pool_name, const std::vector<v1::Sample>& samples) {
  const auto pool = world_.pools.find(LastId(pool_name));
  if (pool == world_.pools.end()) return;
  shadow::Replay(pool->second, Samples(samples.begin(), samples.end()));
}

}  // namespace shadow
