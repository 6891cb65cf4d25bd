#include "client/commands/documents.h"

namespace shadow {

absl::StatusOr<std::vector<Manifest>> ReadManifests(Session& session, ManifestKind kind) {
  const std::string& path = session.arguments().file;
  const absl::StatusOr<std::string> text =
      ReadInput(path, session.console().in, kManifestBytesMax, "--file");
  if (!text.ok()) return text.status();
  return ParseManifests(*text, path == "-" ? "standard input" : path, kind);
}

std::string DryRunNote(const Session& session) {
  return session.arguments().dry_run ? " (dry run: nothing was changed)" : "";
}

}  // namespace shadow
