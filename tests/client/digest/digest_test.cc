// shadowctl dna digest against the daemon's own code, which knows nothing of it.
#include "client/formats/digest.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "client/app.h"
#include "server/providers/facts/data_set_digest.h"

namespace shadow {
namespace {

namespace fs = std::filesystem;

// A directory that is removed with it.
class DigestTree {
 public:
  DigestTree() {
    std::string path = (fs::temp_directory_path() / "digest-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    root_ = path;
  }
  ~DigestTree() { fs::remove_all(root_); }
  DigestTree(const DigestTree&) = delete;
  DigestTree& operator=(const DigestTree&) = delete;

  void Write(const std::string& path, const std::string& bytes) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << bytes;
  }
  fs::path root() const { return root_; }

 private:
  fs::path root_;
};

std::string DigestByServer(const std::string& path) {
  const auto digest = DataSetDigest(path, std::stop_token());
  return digest.ok() ? *digest : std::string(digest.status().message());
}

std::string DigestByClient(const std::string& path) {
  const auto digest = DigestOfPath(path);
  return digest.ok() ? *digest : std::string(digest.status().message());
}

TEST_CASE("the digest of a file is that of its bytes, for shadowctl and for the daemon") {
  const DigestTree tree;
  tree.Write("abc", "abc");
  const std::string path = (tree.root() / "abc").string();
  // FIPS 180-2, appendix B.1.
  CHECK(DigestByClient(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(DigestByClient(path) == DigestByServer(path));
  tree.Write("big", std::string(1'000'000, 'a'));
  CHECK(DigestByClient((tree.root() / "big").string()) ==
        DigestByServer((tree.root() / "big").string()));
}

TEST_CASE("the digest of a directory is the same for shadowctl and for the daemon") {
  const DigestTree tree;
  CHECK(DigestByClient(tree.root().string()) == DigestByServer(tree.root().string()));  // Empty.
  tree.Write("b/2", "two");
  tree.Write("b.txt", "sorts between b and b/2 in no locale but bytewise");
  tree.Write("a b\xC3\xA9", "space");
  tree.Write("\xFF", "no UTF-8");
  tree.Write("b/c/empty", "");
  fs::create_directory(tree.root() / "nothing");
  fs::create_symlink("b.txt", tree.root() / "link");
  fs::create_directory_symlink("b", tree.root() / "linked");
  const std::string root = tree.root().string();
  const std::string whole = DigestByServer(root);
  CHECK(whole.size() == 64);
  CHECK(DigestByClient(root) == whole);
  CHECK(DigestByClient(root + "/") == whole);
  CHECK(DigestByServer(root + "/") == whole);
  tree.Write("b/2", "too");
  CHECK(DigestByClient(root) != whole);
  CHECK(DigestByClient(root) == DigestByServer(root));
}

TEST_CASE("a link is followed where it is named itself, and a missing path is an error") {
  const DigestTree tree;
  tree.Write("d/x", "x");
  fs::create_directory_symlink("d", tree.root() / "current");
  const std::string link = (tree.root() / "current").string();
  CHECK(DigestByClient(link) == DigestByServer(link));
  CHECK(DigestByClient(link) == DigestByClient((tree.root() / "d").string()));
  CHECK(absl::IsNotFound(DigestOfPath((tree.root() / "gone").string()).status()));
  CHECK(absl::IsInvalidArgument(DigestOfPath("/dev/null").status()));
}

TEST_CASE("dna digest prints the digest alone and needs no daemon") {
  const DigestTree tree;
  tree.Write("abc", "abc");
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Console console{.in = in,
                  .out = out,
                  .err = err,
                  .address_from_environment = "unix:/nonexistent/s",
                  .context_from_environment = "",
                  .contexts_path = "",
                  .now = [] { return absl::UnixEpoch(); },
                  .sleep = [](absl::Duration) {}};
  CHECK(RunShadowctl({"dna", "digest", (tree.root() / "abc").string()}, console) == 0);
  CHECK(out.str() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
  CHECK(RunShadowctl({"dna", "digest", (tree.root() / "gone").string()}, console) == 3);
}

}  // namespace
}  // namespace shadow
