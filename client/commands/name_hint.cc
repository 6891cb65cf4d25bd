#include "client/commands/name_hint.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/names.h"
#include "client/text.h"

namespace shadow {
namespace {

std::vector<std::string> DnaNames(Session& session) {
  const auto dnas =
      session.CallPages(session.dnas(), &v1::DnaService::Stub::ListDnas, v1::ListDnasRequest(),
                        &v1::ListDnasResponse::mutable_dnas, 0);
  std::vector<std::string> names;
  if (!dnas.ok()) return names;
  for (const v1::Dna& dna : dnas->dnas()) names.push_back(ShortName(dna.name()));
  return names;
}

std::vector<std::string> PoolNames(Session& session) {
  const auto pools =
      session.CallPages(session.pools(), &v1::PoolService::Stub::ListPools, v1::ListPoolsRequest(),
                        &v1::ListPoolsResponse::mutable_pools, 0);
  std::vector<std::string> names;
  if (!pools.ok()) return names;
  for (const v1::Pool& pool : pools->pools()) names.push_back(ShortName(pool.name()));
  return names;
}

std::vector<std::string> ShadowNames(Session& session) {
  v1::ListShadowPoolsRequest request;
  request.set_parent("pools/-");
  const auto shadows =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, request,
                        &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  std::vector<std::string> names;
  if (!shadows.ok()) return names;
  for (const v1::ShadowPool& shadow : shadows->shadow_pools()) {
    names.push_back(ShortName(shadow.name()));
  }
  return names;
}

bool IsOfDnas(const Command& command) {
  const std::string_view group = command.group;
  return group == "dna" || (group == "describe" && std::string_view(command.name) == "dna");
}

}  // namespace

absl::Status WithNameHint(Session& session, const Command& command, const absl::Status& status) {
  constexpr char kQuestion[] = "did you mean";
  const std::string given = ShortName(session.arguments().name);
  const std::string message(status.message());
  // No names of the daemon.
  const bool foreign =
      std::string_view(command.group) == "context" || std::string_view(command.name) == "digest";
  if (!absl::IsNotFound(status) || given.empty() || foreign ||
      absl::StrContains(message, kQuestion)) {
    return status;
  }
  const bool of_shadow = given.find('/') != std::string::npos;
  const std::vector<std::string> names = IsOfDnas(command) ? DnaNames(session)
                                         : of_shadow       ? ShadowNames(session)
                                                           : PoolNames(session);
  const std::string hint = Closest(given, names);
  if (hint.empty() || hint == given) return status;
  return absl::NotFoundError(
      absl::StrCat(message, "; ", kQuestion, " \"", PrintableText(hint), "\"?"));
}

}  // namespace shadow
