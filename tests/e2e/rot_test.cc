// What a suspended instance was made from changes on disk: its check finds that.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/e2e/shadow_world.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using I = v1::Instance;

// A data set of one file.
class Catalogue {
 public:
  static constexpr char kContent[] = "catalogue 1\n";
  static constexpr char kSha256[] =
      "13880742224ec083c86fa770beaf3d3ad7233ba1f3024d0941a11ad262b4ed0f";

  Catalogue() {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-data-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    Write(kContent);
  }
  ~Catalogue() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Catalogue(const Catalogue&) = delete;
  Catalogue& operator=(const Catalogue&) = delete;

  void Write(const std::string& content) const { std::ofstream(Path()) << content; }

  std::string Dna() const {
    return absl::Substitute(R"(data_sets { name: "catalogue" source: "$0" sha256: "$1" })", Path(),
                            kSha256);
  }

 private:
  std::string Path() const { return directory_ + "/catalogue"; }

  std::string directory_;
};

std::set<std::string> Names(const std::vector<I>& instances) {
  std::set<std::string> names;
  for (const I& instance : instances) names.insert(instance.name());
  return names;
}

}  // namespace

TEST_CASE("a suspended instance whose data set has changed is found and replaced, not woken") {
  const Catalogue catalogue;
  ShadowWorld world(
      {.dna = catalogue.Dna(), .pool = "policy { suspended_check_interval { seconds: 1 } }"});
  HttpLoad load(world.Load());
  world.CreateShadow(2);
  world.WaitForShadow(S::SUSPENDED, 0);
  const std::vector<I> first = world.Instances(I::SHADOW);
  REQUIRE(first.size() == 2);
  world.WaitFor("both are checked", [&] {
    int checked = 0;
    for (const I& now : world.Instances(I::SHADOW, I::SUSPENDED)) {
      for (const I& before : first) {
        checked += now.name() == before.name() &&
                   now.check_time().seconds() > before.check_time().seconds();
      }
    }
    return checked == 2;
  });
  CHECK(Names(world.Instances(I::SHADOW)) == Names(first));  // Nothing was wrong.

  catalogue.Write("catalogue 2\n");
  std::string rotten;
  world.WaitFor("the check of one has failed", [&] {
    for (const I& failed : world.Instances(I::SHADOW, I::FAILED)) {
      if (!Names(first).contains(failed.name())) continue;  // A replacement, which differs too.
      rotten = failed.name();
      CHECK(failed.reason().find("data_sets[catalogue].sha256: wanted 1388") != std::string::npos);
    }
    return !rotten.empty();
  });
  CHECK(world.Shadow().serving_instances() == 0);
  catalogue.Write(Catalogue::kContent);
  world.WaitFor("it is replaced", [&] {
    const std::set<std::string> resting = Names(world.Instances(I::SHADOW, I::SUSPENDED));
    return resting.size() == 2 && !resting.contains(rotten);
  });
  world.Activate(100);
  world.WaitForShadow(S::ACTIVE, 2);
  CHECK_FALSE(Names(world.Instances(I::SHADOW, I::ACTIVE)).contains(rotten));
  world.ExpectNothingLeakedOrDoubled();
  ExpectNoFailure(load);
  world.Finish();
}

}  // namespace shadow
