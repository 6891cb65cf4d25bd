// Paths that root hands to the service manager for somebody else. systemd opens a path by its name,
// later, and follows symbolic links. So a path is good only if nobody but root can change what it
// names: each folder on the way is root's and writable by nobody else, and no part is a link.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/units/units.h"

namespace shadow {

// Whose a path may be in the end.
enum class PathOwner {
  kRoot,    // Root's, and writable by nobody else, as the folders above it.
  kAnyone,  // Of whom it is does not matter: it is only shown to the unit.
};

enum class PathKind { kDirectory, kFile, kEither };

// kFailedPrecondition: a FieldError of `field`: somebody else than root could change
// what it names, or it is of another kind, or not there.
absl::Status CheckTrustedPath(std::string_view field, const std::string& path, PathKind kind,
                              PathOwner owner);

// A place for a mount below `root` ("" is the host): as above as far as there is anything. The
// service manager makes the rest, as root.
absl::Status CheckMountPoint(std::string_view field, const std::string& root,
                             const std::string& path);

// All paths of `dna` that the service manager opens as root.
absl::Status CheckTrustedPaths(const v1::Dna& dna);

// Whether `path` is `folder`, or below it. Both absolute and clean.
bool IsBelow(std::string_view path, std::string_view folder);

}  // namespace shadow
