// Files of DNAs and pools.
#include "client/input/manifest.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  for (const ManifestKind kind :
       {ManifestKind::kDnaOrPool, ManifestKind::kDna, ManifestKind::kPool}) {
    ParseManifests(bytes, "file", kind).status().IgnoreError();
  }
  ParsePolicy(bytes, "file").status().IgnoreError();
}

}  // namespace shadow
