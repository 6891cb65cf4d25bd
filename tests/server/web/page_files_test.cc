#include "server/web/page/page_files.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace shadow {
namespace {

std::string FileText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All of `text` that the group of `pattern` matches.
std::set<std::string> Matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

}  // namespace

TEST_CASE("the page's files are in the program, byte by byte and with their types") {
  const std::filesystem::path folder = SHADOW_SOURCE_DIR "/server/web/page";
  std::set<std::string> sources;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string suffix = entry.path().extension();
    if (suffix == ".html" || suffix == ".css" || suffix == ".js" || suffix == ".svg") {
      sources.insert(entry.path().filename());
    }
  }
  CHECK(PageFiles().size() == sources.size());
  for (const std::string& name : sources) {
    INFO(name);
    const PageFile* file = FindPageFile(name == "index.html" ? "/" : "/" + name);
    REQUIRE(file != nullptr);
    CHECK(file->bytes == FileText(folder / name));
    CHECK(!file->content_type.empty());
  }
  CHECK(FindPageFile("/none.js") == nullptr);
  CHECK(FindPageFile("/index.html") == nullptr);
}

TEST_CASE("everything that the page refers to is one of its files") {
  for (const PageFile& file : PageFiles()) {
    INFO(file.path);
    const std::string text(file.bytes);
    std::set<std::string> names = Matches(text, R"(from '\./([^']+)')");
    names.merge(Matches(text, "(?:src|href)=\"([a-z]+\\.[a-z]+)\""));
    if (file.path == "/") CHECK(names.size() >= 4);
    for (const std::string& name : names) CHECK(FindPageFile("/" + name) != nullptr);
  }
}

TEST_CASE("the page has no code or style in its markup, and makes no markup of text") {
  const std::string markup(FindPageFile("/")->bytes);
  CHECK(Matches(markup, "(<script(?![^>]*src=)[^>]*>)").empty());
  CHECK(Matches(markup, "( style=|<style| on[a-z]+=)").empty());
  for (const PageFile& file : PageFiles()) {
    INFO(file.path);
    const std::string text(file.bytes);
    const auto found =
        Matches(text,
                "(innerHTML|outerHTML|insertAdjacentHTML|document\\.write|\\beval\\(|new Function"
                "|https?://(?!www\\.w3\\.org))");
    CHECK(found == std::set<std::string>());
  }
}

TEST_CASE("the page's policy forbids inline code and everything from elsewhere") {
  CHECK(kContentSecurityPolicy.find("default-src 'none'") != std::string_view::npos);
  CHECK(kContentSecurityPolicy.find("unsafe") == std::string_view::npos);
  CHECK(kContentSecurityPolicy.find("frame-ancestors 'none'") != std::string_view::npos);
}

}  // namespace shadow
