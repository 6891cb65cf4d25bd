// The live page: files that the build puts into the program.
#pragma once

#include <span>
#include <string_view>

namespace shadow {

struct PageFile {
  std::string_view path;  // As it is asked for, e.g. "/page.js"; of index.html it is "/".
  std::string_view content_type;
  std::string_view bytes;
};

// By path.
std::span<const PageFile> PageFiles();

// nullptr: there is none. `path`: without a query.
const PageFile* FindPageFile(std::string_view path);

// For each answer of this server: nothing from elsewhere, no code in the markup, no frame.
inline constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace shadow
