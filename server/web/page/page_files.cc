#include "server/web/page/page_files.h"

#include <algorithm>

namespace shadow {

const PageFile* FindPageFile(std::string_view path) {
  const auto files = PageFiles();
  const auto found = std::find_if(files.begin(), files.end(),
                                  [path](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace shadow
