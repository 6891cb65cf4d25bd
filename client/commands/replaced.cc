#include "client/commands/replaced.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/names.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::size_t kReplacedNamesMax = 10;  // More are counted.

// A line for the instances of `pool` that do not run `revision`; those that are going are none.
absl::StatusOr<std::string> NotOfRevision(Session& session, const std::string& pool,
                                          const std::string& revision) {
  v1::ListInstancesRequest request;
  request.set_parent(pool);
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                        &v1::ListInstancesResponse::mutable_instances, 0);
  if (!list.ok()) return list.status();
  std::vector<std::string> names;
  for (const v1::Instance& instance : list->instances()) {
    const bool going = instance.state() == v1::Instance::DELETING;
    if (!going && instance.dna_revision() != revision) names.push_back(ShortName(instance.name()));
  }
  if (names.empty()) return "";
  const auto count = static_cast<std::int64_t>(names.size());
  std::string line = absl::StrCat("replaces ", CountText(count, "instance"), " of ", pool, ": ");
  for (std::size_t i = 0; i < std::min(names.size(), kReplacedNamesMax); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > kReplacedNamesMax) {
    absl::StrAppend(&line, " and ", names.size() - kReplacedNamesMax, " more");
  }
  return absl::StrCat(PrintableText(line), "\n");
}

}  // namespace

absl::StatusOr<std::string> ReplacedInstances(Session& session, const v1::Dna& before,
                                              const v1::Dna& after) {
  if (before.name().empty() || before.revision() == after.revision()) return "";
  const auto pools =
      session.CallPages(session.pools(), &v1::PoolService::Stub::ListPools, v1::ListPoolsRequest(),
                        &v1::ListPoolsResponse::mutable_pools, 0);
  if (!pools.ok()) return pools.status();
  std::string lines;
  for (const v1::Pool& pool : pools->pools()) {
    if (pool.dna() != before.name()) continue;  // Another one, or pinned to a revision.
    const auto line =
        NotOfRevision(session, pool.name(), absl::StrCat(before.name(), "@", after.revision()));
    if (!line.ok()) return line.status();
    lines += *line;
  }
  return lines;
}

absl::StatusOr<std::string> ReplacedInstances(Session& session, const v1::Pool& before,
                                              const v1::Pool& after) {
  const bool same = before.dna() == after.dna() && before.dna_revision() == after.dna_revision();
  if (before.name().empty() || same) return "";
  return NotOfRevision(session, before.name(), after.dna_revision());
}

}  // namespace shadow
