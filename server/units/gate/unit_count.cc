#include "server/units/gate/unit_count.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shadow {

absl::StatusOr<int> CountUnits(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error == std::errc::no_such_file_or_directory) return 0;
  int count = 0;
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename();
    count += name.starts_with("shadow-") && name.ends_with(".service") ? 1 : 0;
  }
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot list ", folder, ": ", error.message()));
  }
  return count;
}

}  // namespace shadow
