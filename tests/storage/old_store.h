// Stores as older versions wrote them (tests/data/schemas).
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/storage/temp_directory.h"

namespace shadow {

// What `PRAGMA user_version` says in them.
struct OldVersions {
  int state = 1;
  int metrics = 1;
};

inline void MakeOldFile(const std::string& directory, const std::string& name, int version) {
  const std::string sql =
      ReadFile(absl::StrCat(SHADOW_TEST_DATA, "/schemas/", name, "_v", version, ".sql"));
  RunSql(absl::StrCat(directory, "/", name, ".db"), sql);
}

inline void MakeOldStore(const std::string& directory, const OldVersions& versions) {
  MakeOldFile(directory, "state", versions.state);
  MakeOldFile(directory, "metrics", versions.metrics);
}

}  // namespace shadow
