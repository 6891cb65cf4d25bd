#include "client/commands/apply.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/commands/documents.h"
#include "client/commands/replaced.h"
#include "client/errors.h"
#include "client/formats/field_changes.h"
#include "client/formats/spec.h"
#include "client/output/json.h"
#include "client/wait.h"

namespace shadow {
namespace {

// Which document of how many, and what is done with it.
struct Turn {
  std::size_t index = 0;
  std::size_t count = 0;
  bool check_only = false;
};

template <typename Resource>
struct Applied {
  Resource before;  // Empty: it was not there.
  Resource after;
};

// Whether an update changed nothing. A DNA's revision is that of its content; a pool's etag is new
// with every new spec, but a check has none, and answers with the whole pool as it would be.
bool Same(const v1::Dna& before, const v1::Dna& after, bool /*checked*/) {
  return before.revision() == after.revision();
}
bool Same(const v1::Pool& before, const v1::Pool& after, bool checked) {
  if (checked) return google::protobuf::util::MessageDifferencer::Equals(before, after);
  return before.etag() == after.etag();
}

// A check before the change has no request id: that is the change's own.
template <typename Request>
void PrepareTurn(const Session& session, const Turn& turn, Request& request) {
  PrepareOneOf(session, turn.index, turn.count, request);
  request.set_allow_missing(true);
  request.set_validate_only(turn.check_only);
  if (turn.check_only && !session.arguments().dry_run) request.clear_request_id();
}

// As Get, but empty where it is not there.
template <typename Resource, typename Stub, typename GetRequest>
absl::StatusOr<Resource> Before(Session& session, Stub& stub,
                                grpc::Status (Stub::*get)(grpc::ClientContext*, const GetRequest&,
                                                          Resource*),
                                const std::string& name) {
  GetRequest request;
  request.set_name(name);
  absl::StatusOr<Resource> before = session.Call(stub, get, request);
  if (absl::IsNotFound(before.status())) return Resource();
  return before;
}

absl::StatusOr<Applied<v1::Dna>> ApplyDna(Session& session, const v1::Dna& dna, const Turn& turn) {
  absl::StatusOr<v1::Dna> before =
      Before<v1::Dna>(session, session.dnas(), &v1::DnaService::Stub::GetDna, dna.name());
  if (!before.ok()) return before.status();
  v1::UpdateDnaRequest request;
  *request.mutable_dna() = dna;
  PrepareTurn(session, turn, request);
  absl::StatusOr<v1::Dna> after =
      session.Call(session.dnas(), &v1::DnaService::Stub::UpdateDna, request);
  if (!after.ok()) return after.status();
  return Applied<v1::Dna>{.before = *std::move(before), .after = *std::move(after)};
}

// `dnas`: those that stand before it in the file, with and without their revisions.
absl::StatusOr<Applied<v1::Pool>> ApplyPool(Session& session, const v1::Pool& pool,
                                            const std::set<std::string>& dnas, const Turn& turn) {
  absl::StatusOr<v1::Pool> before =
      Before<v1::Pool>(session, session.pools(), &v1::PoolService::Stub::GetPool, pool.name());
  if (!before.ok()) return before.status();
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = pool;
  PrepareTurn(session, turn, request);
  absl::StatusOr<v1::Pool> after =
      session.Call(session.pools(), &v1::PoolService::Stub::UpdatePool, request);
  // The daemon looks for the DNA last: everything else of the pool is good then.
  const bool lacks_dna = absl::IsNotFound(after.status()) && FieldOf(after.status()) == "pool.dna";
  if (turn.check_only && lacks_dna && dnas.contains(pool.dna())) after = pool;
  if (!after.ok()) return after.status();
  return Applied<v1::Pool>{.before = *std::move(before), .after = *std::move(after)};
}

template <typename Resource>
void PrintApplied(Session& session, const Applied<Resource>& applied, const std::string& name) {
  const bool checked = session.arguments().dry_run;
  if (session.json()) {
    session.console().out << JsonText(applied.after, {.layout = JsonLayout::kLine}) << '\n';
    return;
  }
  if (!session.table()) {
    session.Print(applied.after, "");
    return;
  }
  const char* verb = "configured";
  if (applied.before.name().empty()) {
    verb = "created";
  } else if (Same(applied.before, applied.after, checked)) {
    verb = "unchanged";
  }
  session.console().out << name << ' ' << verb << DryRunNote(session) << '\n';
}

// What differs, field by field, and what that replaces; empty: nothing differs.
template <typename Resource>
absl::StatusOr<std::string> Changes(Session& session, const Applied<Resource>& applied) {
  const std::string fields = FieldChanges(SpecOf(applied.before), SpecOf(applied.after));
  const auto replaced = ReplacedInstances(session, applied.before, applied.after);
  if (!replaced.ok()) return replaced.status();
  std::string lines;
  const std::vector<std::string> all = absl::StrSplit(absl::StrCat(fields, *replaced), '\n');
  for (const std::string& line : all) {
    if (!line.empty()) absl::StrAppend(&lines, "  ", line, "\n");
  }
  return lines;
}

using AppliedDocument = std::variant<Applied<v1::Dna>, Applied<v1::Pool>>;

std::string NameOf(const Manifest& manifest) {
  return std::visit([](const auto& resource) { return resource.name(); }, manifest);
}

void Print(Session& session, const AppliedDocument& applied, const Manifest& manifest) {
  std::visit([&](const auto& one) { PrintApplied(session, one, NameOf(manifest)); }, applied);
}

bool IsNew(const AppliedDocument& applied) {
  return std::visit([](const auto& one) { return one.before.name().empty(); }, applied);
}

absl::StatusOr<std::string> Changes(Session& session, const AppliedDocument& applied) {
  return std::visit([&](const auto& one) { return Changes(session, one); }, applied);
}

// Asks the daemon about all of them, and changes nothing. DNAs come first.
absl::StatusOr<std::vector<AppliedDocument>> CheckAll(Session& session,
                                                      const std::vector<Manifest>& manifests) {
  std::vector<AppliedDocument> all;
  std::set<std::string> dnas;
  for (std::size_t i = 0; i < manifests.size(); ++i) {
    const Turn turn{.index = i, .count = manifests.size(), .check_only = true};
    if (const auto* dna = std::get_if<v1::Dna>(&manifests[i])) {
      auto applied = ApplyDna(session, *dna, turn);
      if (!applied.ok()) return applied.status();
      dnas.insert(dna->name());
      dnas.insert(absl::StrCat(dna->name(), "@", applied->after.revision()));
      all.emplace_back(*std::move(applied));
    } else {
      auto applied = ApplyPool(session, std::get<v1::Pool>(manifests[i]), dnas, turn);
      if (!applied.ok()) return applied.status();
      all.emplace_back(*std::move(applied));
    }
  }
  return all;
}

absl::StatusOr<AppliedDocument> ApplyOne(Session& session, const Manifest& manifest,
                                         const Turn& turn) {
  if (const auto* dna = std::get_if<v1::Dna>(&manifest)) return ApplyDna(session, *dna, turn);
  const auto& pool = std::get<v1::Pool>(manifest);
  auto applied = ApplyPool(session, pool, {}, turn);
  if (applied.ok() && session.arguments().wait) {
    absl::StatusOr<v1::Pool> settled = WaitForPool(session, pool.name());
    if (!settled.ok()) return settled.status();
    applied->after = *std::move(settled);
  }
  return applied;
}

absl::StatusOr<std::vector<Manifest>> ReadInOrder(Session& session) {
  absl::StatusOr<std::vector<Manifest>> manifests =
      ReadManifests(session, ManifestKind::kDnaOrPool);
  if (!manifests.ok()) return manifests;
  // A pool needs its DNA, wherever in the file that stands.
  std::stable_partition(manifests->begin(), manifests->end(), [](const Manifest& manifest) {
    return std::holds_alternative<v1::Dna>(manifest);
  });
  return manifests;
}

}  // namespace

absl::Status Diff(Session& session) {
  if (!session.table()) return BadField("--output", "means nothing to `shadowctl diff`");
  const absl::StatusOr<std::vector<Manifest>> manifests = ReadInOrder(session);
  if (!manifests.ok()) return manifests.status();
  const auto checked = CheckAll(session, *manifests);
  if (!checked.ok()) return checked.status();
  bool differs = false;
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    const absl::StatusOr<std::string> changes = Changes(session, (*checked)[i]);
    if (!changes.ok()) return changes.status();
    const bool is_new = IsNew((*checked)[i]);
    differs |= is_new || !changes->empty();
    const char* verb = is_new             ? " would be created\n"
                       : changes->empty() ? " would not change\n"
                                          : " would change\n";
    session.console().out << NameOf((*manifests)[i]) << verb << *changes;
  }
  return differs ? Differs() : absl::OkStatus();
}

absl::Status Apply(Session& session) {
  const absl::StatusOr<std::vector<Manifest>> read = ReadInOrder(session);
  if (!read.ok()) return read.status();
  const std::vector<Manifest>& manifests = *read;
  const bool dry_run = session.arguments().dry_run;
  // A single one changes nothing anyway where it is refused.
  if (dry_run || manifests.size() > 1) {
    const auto checked = CheckAll(session, manifests);
    if (!checked.ok()) return checked.status();
    for (std::size_t i = 0; dry_run && i < manifests.size(); ++i) {
      Print(session, (*checked)[i], manifests[i]);
      if (!session.table() || IsNew((*checked)[i])) continue;
      const absl::StatusOr<std::string> changes = Changes(session, (*checked)[i]);
      if (!changes.ok()) return changes.status();
      session.console().out << *changes;
    }
  }
  for (std::size_t i = 0; !dry_run && i < manifests.size(); ++i) {
    const auto applied = ApplyOne(session, manifests[i], {.index = i, .count = manifests.size()});
    if (!applied.ok()) return applied.status();
    Print(session, *applied, manifests[i]);
  }
  return absl::OkStatus();
}

}  // namespace shadow
