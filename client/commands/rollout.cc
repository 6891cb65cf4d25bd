// shadowctl rollout ...: a pool's instances on their way to another DNA revision.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/errors.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/proto_time.h"
#include "client/session.h"
#include "client/text.h"
#include "client/wait.h"

namespace shadow {
namespace {

absl::StatusOr<v1::Pool> PoolOfName(Session& session) {
  v1::GetPoolRequest request;
  request.set_name(FullPoolName(session.arguments().name));
  return session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
}

// How many instances run each revision; those that fail or go are none.
using InstancesOfRevisions = std::map<std::string, int>;

absl::StatusOr<InstancesOfRevisions> CountRevisions(Session& session, const v1::Pool& pool) {
  v1::ListInstancesRequest request;
  request.set_parent(pool.name());
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                        &v1::ListInstancesResponse::mutable_instances, 0);
  if (!list.ok()) return list.status();
  InstancesOfRevisions counts;
  for (const v1::Instance& instance : list->instances()) {
    const bool counted = instance.state() != v1::Instance::FAILED &&
                         instance.state() != v1::Instance::DELETING && !instance.cordoned();
    if (counted) ++counts[instance.dna_revision()];
  }
  return counts;
}

// Whether it is over, and how far it is.
struct RolloutState {
  bool complete = false;
  std::string text;
};

absl::StatusOr<RolloutState> StateOf(Session& session, const v1::Pool& pool) {
  const auto counts = CountRevisions(session, pool);
  if (!counts.ok()) return counts.status();
  int all = 0;
  for (const auto& [revision, count] : *counts) all += count;
  const auto updated = counts->find(pool.dna_revision());
  const int of_it = updated == counts->end() ? 0 : updated->second;
  RolloutState state;
  state.complete = of_it == all && !pool.reconciling();
  state.text = absl::StrCat(pool.name(), ": ", of_it, " of ", CountText(all, "instance"), " ",
                            of_it == 1 ? "runs " : "run ", pool.dna_revision(),
                            state.complete ? ""
                            : of_it == all ? ", some are not ready yet"
                                           : "",
                            pool.rollout_paused() ? "; paused: newer revisions wait" : "");
  return state;
}

absl::Status Status(Session& session) {
  absl::StatusOr<v1::Pool> pool = PoolOfName(session);
  if (!pool.ok()) return pool.status();
  RolloutState last;
  const auto look = [&]() -> absl::StatusOr<Progress> {
    pool = PoolOfName(session);
    if (!pool.ok()) return pool.status();
    const auto state = StateOf(session, *pool);
    if (!state.ok()) return state.status();
    last = *state;
    return Progress{.settled = last.complete || pool->rollout_paused(), .text = last.text};
  };
  const absl::Status looked =
      session.arguments().wait ? WaitUntilSettled(session, look) : look().status();
  if (!looked.ok()) return looked;
  session.Print(*pool, PrintableText(last.text) + "\n");
  return absl::OkStatus();
}

// All revisions of the pool's DNA, oldest first.
absl::StatusOr<std::vector<v1::Dna>> RevisionsOf(Session& session, const v1::Pool& pool) {
  v1::ListDnasRequest request;
  request.set_dna(pool.dna_revision().substr(0, pool.dna_revision().find('@')));
  const auto list = session.CallPages(session.dnas(), &v1::DnaService::Stub::ListDnas, request,
                                      &v1::ListDnasResponse::mutable_dnas, 0);
  if (!list.ok()) return list.status();
  return std::vector<v1::Dna>(list->dnas().begin(), list->dnas().end());
}

std::string NameOfRevision(const v1::Dna& dna) {
  return absl::StrCat(dna.name(), "@", dna.revision());
}

struct RevisionRow {
  v1::Dna dna;
  bool in_use = false;
  int instances = 0;
};

constexpr std::array<Column<RevisionRow>, 5> kRevisionColumns = {{
    {"REVISION", Cells::kText,
     [](const RevisionRow& row, absl::Time) { return row.dna.revision(); }},
    {"IN USE", Cells::kText,
     [](const RevisionRow& row, absl::Time) { return std::string(row.in_use ? "yes" : "no"); }},
    {"INSTANCES", Cells::kNumber,
     [](const RevisionRow& row, absl::Time) { return absl::StrCat(row.instances); }},
    {"AGE", Cells::kText,
     [](const RevisionRow& row, absl::Time now) {
       return row.dna.has_update_time() ? ShortDuration(now - FromProto(row.dna.update_time()))
                                        : std::string();
     }},
    {"COMMAND", Cells::kText,
     [](const RevisionRow& row, absl::Time) {
       return absl::StrJoin(row.dna.process().argv(), " ");
     }},
}};

absl::Status History(Session& session) {
  const absl::StatusOr<v1::Pool> pool = PoolOfName(session);
  if (!pool.ok()) return pool.status();
  const auto revisions = RevisionsOf(session, *pool);
  if (!revisions.ok()) return revisions.status();
  const auto counts = CountRevisions(session, *pool);
  if (!counts.ok()) return counts.status();
  v1::ListDnasResponse list;
  std::vector<RevisionRow> rows;
  for (const v1::Dna& dna : *revisions) {
    *list.add_dnas() = dna;
    const auto count = counts->find(NameOfRevision(dna));
    rows.push_back({.dna = dna,
                    .in_use = NameOfRevision(dna) == pool->dna_revision(),
                    .instances = count == counts->end() ? 0 : count->second});
  }
  session.Print(list, TableOf<RevisionRow>(session, kRevisionColumns, rows));
  return absl::OkStatus();
}

// Sends `pool`'s `fields`, waits for it with --wait, and says `verb`.
absl::Status UpdateFields(Session& session, const v1::Pool& pool,
                          const std::vector<std::string>& fields, const std::string& verb) {
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = pool;
  for (const std::string& field : fields) request.mutable_update_mask()->add_paths(field);
  session.Prepare(request);
  absl::StatusOr<v1::Pool> updated =
      session.Call(session.pools(), &v1::PoolService::Stub::UpdatePool, request);
  if (updated.ok() && session.arguments().wait && !session.arguments().dry_run) {
    updated = WaitForPool(session, pool.name());
  }
  if (!updated.ok()) return updated.status();
  session.Print(*updated, absl::StrCat(pool.name(), " ", verb, DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status SetPaused(Session& session, bool paused, const std::string& verb) {
  v1::Pool pool;
  pool.set_name(FullPoolName(session.arguments().name));
  pool.set_rollout_paused(paused);
  return UpdateFields(session, pool, {"rollout_paused"}, verb);
}

absl::Status Pause(Session& session) { return SetPaused(session, true, "paused"); }
absl::Status Resume(Session& session) { return SetPaused(session, false, "resumed"); }

// The one that was asked for, or the one before that in use.
absl::StatusOr<std::string> RevisionToUndoTo(const Session& session, const v1::Pool& pool,
                                             const std::vector<v1::Dna>& revisions) {
  const std::string& wanted = session.arguments().to_revision;
  std::string before;
  for (const v1::Dna& dna : revisions) {
    if (!wanted.empty() && dna.revision() == wanted) return NameOfRevision(dna);
    if (wanted.empty() && NameOfRevision(dna) == pool.dna_revision()) {
      if (!before.empty()) return before;
      return absl::FailedPreconditionError(
          absl::StrCat(pool.dna_revision(), " is the first revision; no earlier one exists"));
    }
    before = NameOfRevision(dna);
  }
  if (wanted.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(pool.dna_revision(),
                     " is not among the revisions that are kept; name one of them with "
                     "--to-revision; `shadowctl rollout history` lists them"));
  }
  return absl::NotFoundError(
      absl::StrCat("--to-revision: ", PrintableText(wanted),
                   " is no revision of it; `shadowctl rollout history` lists them"));
}

absl::Status Undo(Session& session) {
  absl::StatusOr<v1::Pool> pool = PoolOfName(session);
  if (!pool.ok()) return pool.status();
  const auto revisions = RevisionsOf(session, *pool);
  if (!revisions.ok()) return revisions.status();
  const auto revision = RevisionToUndoTo(session, *pool, *revisions);
  if (!revision.ok()) return revision.status();
  pool->set_dna(*revision);  // Its etag is that of the pool that was looked at.
  pool->set_rollout_paused(false);
  return UpdateFields(session, *pool, {"dna", "rollout_paused"},
                      absl::StrCat("goes back to ", *revision,
                                   ", and stays there until its `dna` is set to another one"));
}

constexpr std::array<Command, 5> kCommands = {{
    {"rollout", "status", "POOL", "Say how many instances run the pool's DNA revision",
     "rollout status web --wait", kTakesWait | kTakesFormats, Status},
    {"rollout", "history", "POOL", "List the revisions of the pool's DNA, the oldest first",
     "rollout history web", kTakesShown, History},
    {"rollout", "undo", "POOL", "Go back to the revision before, or to another one",
     "rollout undo web --wait", kTakesRevision | kTakesMutation, Undo},
    {"rollout", "pause", "POOL", "Stay at the present revision, and replace no more instances",
     "rollout pause web", kTakesMutation, Pause},
    {"rollout", "resume", "POOL", "Go on to the newest revision that the pool's DNA names",
     "rollout resume web --wait", kTakesMutation, Resume},
}};

}  // namespace

std::span<const Command> RolloutCommands() { return kCommands; }

}  // namespace shadow
