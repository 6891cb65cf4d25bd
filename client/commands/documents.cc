#include "client/commands/documents.h"

#include "client/errors.h"
#include "client/text.h"

namespace shadow {

absl::StatusOr<std::vector<Manifest>> ReadManifests(Session& session, ManifestKind kind) {
  const std::string& path = session.arguments().file;
  const absl::StatusOr<std::string> text =
      ReadInput(path, session.console().in, kManifestBytesMax, "--file");
  if (!text.ok()) return text.status();
  return ParseManifests(*text, path == "-" ? "standard input" : path, kind);
}

absl::Status CheckZonelessTime(Session& session, const std::string& pool,
                               const std::string& field) {
  v1::GetPoolRequest request;
  request.set_name(pool);
  const auto found = session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
  if (!found.ok()) return found.status();
  if (IsUtc(found->time_zone())) return absl::OkStatus();
  return BadField(field, ZoneWanted(found->time_zone()));
}

std::string DryRunNote(const Session& session) {
  return session.arguments().dry_run ? " (dry run: nothing was changed)" : "";
}

}  // namespace shadow
