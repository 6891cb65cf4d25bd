#include "server/recovery.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/adoption/lineage.h"
#include "server/core/adoption/revival.h"
#include "server/core/spec/output_fields.h"
#include "server/core/time_proto.h"
#include "server/log/log.h"

namespace shadow {
namespace {

constexpr int64_t kReplayPage = 500'000;  // Samples in memory at a time.

void FitLost(ControlLoop& loop, StepWorkers& workers) {
  const std::vector<Forecaster*> lost = loop.LostFits();
  workers.Run(lost.size(), [&lost](size_t i) { lost[i]->Fit(); });
}

// The samples of one pool after the other, until a page of them is replayed.
class ReplayBuffer {
 public:
  ReplayBuffer(ControlLoop& loop, StepWorkers& workers) : loop_(loop), workers_(workers) {}

  void Add(const std::string& pool, v1::Sample sample) {
    if (pools_.empty() || pools_.back().name != pool) pools_.push_back({.name = pool});
    pools_.back().samples.push_back(std::move(sample));
    if (++count_ >= kReplayPage) Flush();
  }

  void Flush() {
    workers_.Run(pools_.size(),
                 [this](size_t i) { loop_.Replay(pools_[i].name, pools_[i].samples); });
    pools_.clear();
    count_ = 0;
  }

 private:
  struct PoolSamples {
    std::string name;
    std::vector<v1::Sample> samples = {};
  };

  ControlLoop& loop_;
  StepWorkers& workers_;
  std::vector<PoolSamples> pools_;
  int64_t count_ = 0;
};

// Complete, or kUnavailable: whatever keeps the provider from it, a start may be tried again.
absl::StatusOr<std::vector<Observation>> ListAll(Provider& provider) {
  auto all = provider.List();
  if (all.ok()) return all;
  return absl::UnavailableError(
      absl::StrCat("the instances cannot be listed, and nothing is begun without that: ",
                   all.status().message()));
}

using IsMeant = std::function<bool(const Observation& seen)>;

absl::StatusOr<std::vector<Observation>> Find(Provider& provider, const IsMeant& is_meant) {
  const auto all = ListAll(provider);
  if (!all.ok()) return all.status();
  std::vector<Observation> found;
  for (const Observation& one : *all) {
    if (one.life != Life::kAbsent && is_meant(one)) found.push_back(one);
  }
  return found;
}

IsMeant ForeignTo(const v1::StoreContents& contents) {
  return [lineage = LineageOf(contents), revision = contents.last_revision()](
             const Observation& seen) { return IsForeign(lineage, revision, seen); };
}

// "i4 (made in epoch 6a../0f..)"
std::string Named(const Observation& seen, const v1::StoreContents& contents) {
  if (seen.epoch.empty() || seen.epoch == contents.epoch()) return seen.id;
  return absl::StrCat(seen.id, " (made in epoch ", seen.epoch, ")");
}

absl::Status End(Provider& provider, const IsMeant& is_meant, Clock& clock) {
  constexpr absl::Duration kPatience = absl::Seconds(30);
  const absl::Duration deadline = clock.Now().mono + kPatience;
  std::mutex mutex;
  std::condition_variable never;
  while (true) {
    const auto left = Find(provider, is_meant);
    if (!left.ok() || left->empty()) return left.status();
    for (const Observation& one : *left) {
      Log(LogLevel::kWarning, {.instance = one.id, .kind = MessageKind::kEnded},
          "ended: the store has no record of it");
      InstanceSpec instance;
      instance.id = one.id;
      absl::Status status = provider.ApplyOne(InstanceOp::Kind::kKill, instance);
      if (!status.ok()) return status;
    }
    if (clock.Now().mono >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("instance ", left->front().id, " lives on"));
    }
    std::unique_lock lock(mutex);
    clock.WaitUntil(lock, never, clock.Now().mono + absl::Milliseconds(100));
  }
}

absl::StatusOr<std::vector<Survivor>> FindSurvivors(Provider& provider, const ReadNote& read_note) {
  const auto all = ListAll(provider);
  if (!all.ok()) return all.status();
  std::vector<Survivor> survivors;
  for (const Observation& seen : *all) {
    const auto note = read_note(seen.id);
    if (!note.ok()) return note.status();
    if (seen.life != Life::kAbsent) survivors.push_back({.seen = seen, .note = *note});
  }
  return survivors;
}

using PoolRecords = std::vector<v1::PoolRecord>;

absl::StatusOr<BalancerViews> LookAtBalancers(const Adapters& adapters, const PoolRecords& pools) {
  BalancerViews views;
  for (const v1::PoolRecord& record : pools) {
    const auto spec = CompilePool(record.pool());
    if (!spec.ok() || !spec->has_balancer) continue;  // A load refuses what makes no sense.
    auto view = adapters.make_balancer(spec->pool)->View();
    if (!view.ok()) {
      return absl::UnavailableError(
          absl::StrCat(record.pool().name(),
                       ": its balancer does not say who serves: ", view.status().message()));
    }
    views[record.pool().name()] = *std::move(view);
  }
  return views;
}

absl::Status NotAdoptable(const Adoption& adoption) {
  std::vector<std::string> named;
  named.reserve(adoption.refused.size());
  for (const Refusal& one : adoption.refused) {
    named.push_back(absl::StrCat(one.id, " (", one.why, ")"));
  }
  return absl::DataLossError(absl::StrCat(
      named.size(), " of ", adoption.foreign,
      " instances that the store has no record of cannot be adopted: ", absl::StrJoin(named, ", "),
      ". Nothing was touched. Put the newer state.db back, restore a backup that knows them, or "
      "end these and adopt the others with --recover=adopt --recover=end"));
}

bool IsAny(const DefinitionFiles::Kept& kept) {
  return kept.definitions.ByteSizeLong() > 0 || !kept.damaged.empty();
}

absl::Status CheckNotLost(const v1::StoreContents& contents, const DefinitionFiles::Kept& kept) {
  if (!IsEmpty(contents) || !IsAny(kept)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the store is empty, but definitions of ", kept.definitions.pools_size(), " pools and ",
      kept.definitions.dnas_size(), " revisions of DNAs are kept beside it (", kept.damaged.size(),
      " more are damaged). Their state.db was lost. Nothing was touched. Put it back or restore a "
      "backup, take them back with --recover=adopt, or forget them with --recover=end"));
}

// What an empty store takes back.
absl::StatusOr<Revival> ReviveKept(const AdoptOptions& options, const v1::StoreContents& contents,
                                   absl::Time now) {
  if (!IsEmpty(contents)) return Revival();
  Revival revival = Revive(options.kept.definitions, now);
  std::vector<std::string>& left_out = revival.left_out;
  left_out.insert(left_out.end(), options.kept.damaged.begin(), options.kept.damaged.end());
  for (const std::string& one : left_out) Log(LogLevel::kWarning, {}, "not taken back: " + one);
  if (left_out.empty() || options.end_others) return revival;
  return absl::DataLossError(absl::StrCat(
      left_out.size(), " definitions beside the records of instances cannot be taken back, e.g. ",
      left_out.front(),
      ". Nothing was touched. Put state.db back, restore a backup, or go on without them and the "
      "instances that need them with --recover=adopt --recover=end"));
}

absl::Status CommitAndWait(Store& store, const v1::WriteBatch& batch) {
  std::promise<absl::Status> durable;
  store.Commit(batch, [&durable](const absl::Status& status) { durable.set_value(status); });
  return durable.get_future().get();
}

// kDataLoss: there are some. `advice`: what can be done but to put their store back.
absl::Status ForeignLive(const std::vector<Observation>& foreign, const v1::StoreContents& contents,
                         std::string_view advice) {
  constexpr size_t kNamed = 5;
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(kNamed, foreign.size()); ++i) {
    named.push_back(Named(foreign[i], contents));
  }
  return absl::DataLossError(absl::StrCat(
      foreign.size(),
      " instances live that another store has made, or a newer one than this (epoch ",
      contents.epoch(), ", last revision ", contents.last_revision(),
      "): ", absl::StrJoin(named, ", "), foreign.size() > kNamed ? ", ..." : "",
      ". Their state.db was lost, or replaced by an older copy or by that of another store. "
      "Nothing was touched. Put theirs back, ",
      std::string(advice)));
}

}  // namespace

absl::Status CheckNoneForeign(Provider& provider, const v1::StoreContents& contents,
                              const DefinitionFiles::Kept& kept) {
  const auto foreign = Find(provider, ForeignTo(contents));
  if (!foreign.ok()) return foreign.status();
  if (foreign->empty()) return CheckNotLost(contents, kept);
  return ForeignLive(*foreign, contents,
                     "take these instances into the pools of this one with --recover=adopt, or end "
                     "them with --recover=end");
}

absl::Status EndForeign(Provider& provider, const v1::StoreContents& contents, Clock& clock) {
  return End(provider, ForeignTo(contents), clock);
}

absl::Status CheckOthers(Adapters& adapters, const v1::StoreContents& contents, bool end,
                         Clock& clock) {
  std::set<std::string> asked = {DefaultProvider()->key};
  for (const v1::PoolRecord& record : contents.pools()) {
    const auto spec = CompileProvider(record.pool().provider());
    if (!asked.insert(spec->key).second) continue;
    const absl::StatusOr<Provider*> provider = adapters.providers->Get(*spec);
    if (!provider.ok()) continue;
    absl::Status checked;
    if (end) {
      checked = EndForeign(**provider, contents, clock);
    } else if (const auto foreign = Find(**provider, ForeignTo(contents)); !foreign.ok()) {
      checked = foreign.status();
    } else if (!foreign->empty()) {
      checked =
          ForeignLive(*foreign, contents,
                      absl::StrCat("or end them with --recover=end. They are of the provider ",
                                   spec->key, "; --recover=adopt takes none of it"));
    }
    if (!checked.ok() && !absl::IsUnavailable(checked)) return checked;
  }
  return absl::OkStatus();
}

absl::Status AdoptForeign(Adapters& adapters, const AdoptOptions& options, Store& store,
                          v1::StoreContents& contents, Clock& clock) {
  const absl::StatusOr<Provider*> provider = adapters.providers->Get(*options.provider);
  if (!provider.ok()) return provider.status();
  const auto survivors = FindSurvivors(**provider, options.read_note);
  if (!survivors.ok()) return survivors.status();
  const absl::Time now = clock.Now().wall;
  const auto revival = ReviveKept(options, contents, now);
  if (!revival.ok()) return revival.status();
  const IsMeant foreign = ForeignTo(contents);
  const bool any = std::any_of(survivors->begin(), survivors->end(),
                               [&](const Survivor& one) { return foreign(one.seen); });
  if (!any && revival->dnas.empty() && revival->pools.empty()) return absl::OkStatus();
  PoolRecords pools(contents.pools().begin(), contents.pools().end());
  pools.insert(pools.end(), revival->pools.begin(), revival->pools.end());
  // Where nothing is adopted, no balancer has to answer either.
  const auto views = any ? LookAtBalancers(adapters, pools) : BalancerViews();
  if (!views.ok()) return views.status();
  const Adoption adoption =
      Adopt(contents, options.provider->key, *survivors, *views, now, *revival);
  if (!adoption.refused.empty()) {
    if (!options.end_others) return NotAdoptable(adoption);
    std::set<std::string> others;
    for (const Refusal& one : adoption.refused) others.insert(one.id);
    absl::Status ended = End(
        **provider, [&others](const Observation& seen) { return others.contains(seen.id); }, clock);
    if (!ended.ok()) return ended;
  }
  if (absl::Status stored = CommitAndWait(store, adoption.batch); !stored.ok()) return stored;
  for (const v1::Event& event : adoption.batch.events()) {
    Log(LogLevel::kWarning, FieldsOf(event.name()), event.message());
  }
  ApplyAdoption(adoption.batch, contents);
  return absl::OkStatus();
}

void KeepDefinitions(DefinitionFiles& files, const v1::StoreContents& contents) {
  v1::Definitions definitions;
  for (const v1::DnaRecord& record : contents.dnas()) *definitions.add_dnas() = record.dna();
  for (const v1::PoolRecord& record : contents.pools()) {
    v1::Pool& spec = *definitions.add_pools();
    spec = record.pool();
    ClearOutputOnly(spec);
  }
  const absl::Status kept = files.Replace(definitions);
  if (kept.ok()) return;
  Log(LogLevel::kWarning, {},
      absl::StrCat("the definitions of pools and DNAs are not all kept beside the records of their "
                   "instances, so --recover=adopt may not know them if state.db is lost: ",
                   kept.message()));
}

absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now) {
  FitLost(loop, workers);  // What is replayed goes by them.
  for (const auto& [id, pool] : loop.world().pools) {
    if (pool.record.has_first_sample_time()) continue;
    const std::string& name = pool.record.pool().name();
    const auto first =
        store.ReadSamples(name, absl::InfinitePast(), now, FromProto(pool.record.pool().step()), 1);
    if (absl::IsDataLoss(first.status())) continue;  // It is named below.
    if (!first.ok()) return first.status();
    if (!first->empty()) loop.SetFirstSample(name, FromProto(first->front().time()));
  }
  std::map<std::string, Store::From> from;
  for (const auto& [id, pool] : loop.world().pools) {
    const std::string& name = pool.record.pool().name();
    from[name] = {.after = loop.ReplayFrom(name), .coarsest = FromProto(pool.record.pool().step())};
  }
  ReplayBuffer replayed(loop, workers);
  const absl::StatusOr<std::vector<Store::Finding>> damaged = store.ScanSamples(
      from, now,
      [&](const std::string& pool, v1::Sample sample) { replayed.Add(pool, std::move(sample)); });
  if (!damaged.ok()) return damaged.status();
  for (const Store::Finding& piece : *damaged) {
    Log(LogLevel::kWarning, FieldsOf(piece.name), piece.text + "; learnt without them");
  }
  replayed.Flush();
  FitLost(loop, workers);  // That count since; those that are only due are made in the background.
  return absl::OkStatus();
}

}  // namespace shadow
