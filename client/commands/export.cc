#include "client/commands/export.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/formats/spec.h"
#include "client/formats/yaml_text.h"
#include "client/output/json.h"
#include "client/text.h"

namespace shadow {
namespace {

template <typename Resource>
void PrintSpec(Session& session, const Resource& resource) {
  const Resource spec = SpecOf(resource);
  session.console().out << "---\n"
                        << (session.json() ? absl::StrCat(JsonText(spec), "\n") : YamlText(spec));
}

}  // namespace

absl::Status Export(Session& session) {
  const auto dnas =
      session.CallPages(session.dnas(), &v1::DnaService::Stub::ListDnas, v1::ListDnasRequest(),
                        &v1::ListDnasResponse::mutable_dnas, 0);
  if (!dnas.ok()) return dnas.status();
  const auto pools =
      session.CallPages(session.pools(), &v1::PoolService::Stub::ListPools, v1::ListPoolsRequest(),
                        &v1::ListPoolsResponse::mutable_pools, 0);
  if (!pools.ok()) return pools.status();
  std::set<std::string> revisions;
  for (const v1::Dna& dna : dnas->dnas()) {
    revisions.insert(absl::StrCat(dna.name(), "@", dna.revision()));
    PrintSpec(session, dna);
  }
  for (const v1::Pool& pool : pools->pools()) {
    PrintSpec(session, pool);
    const bool pinned = pool.dna().find('@') != std::string::npos;
    if (pinned && !revisions.contains(pool.dna())) {
      session.console().err << PrintableText(pool.name()) << " is pinned to "
                            << PrintableText(pool.dna())
                            << ", which is not the newest revision and not exported\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace shadow
