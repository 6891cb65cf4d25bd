// What is kept of pools and DNAs beside the records of their instances.
#include "storage/definitions/definition_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "google/protobuf/util/message_differencer.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using google::protobuf::util::MessageDifferencer;

v1::Pool Spec(const std::string& name, int base) {
  v1::Pool pool;
  pool.set_name(name);
  pool.set_dna("dnas/web");
  pool.set_managed_instances(base);
  return pool;
}

v1::Dna Revision(const std::string& revision) {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.set_revision(revision);
  dna.mutable_process()->add_argv("/bin/true");
  return dna;
}

v1::WriteBatch Batch(const v1::Pool& spec, int64_t revision) {
  v1::WriteBatch batch;
  *batch.add_put_specs() = spec;
  batch.add_put_pools()->set_name(spec.name());
  v1::Event& event = *batch.add_events();
  event.set_revision(revision);
  event.set_name(spec.name());
  return batch;
}

DefinitionFiles::Kept Kept(const std::string& state_dir) {
  const auto kept = DefinitionFiles(state_dir).Read();
  INFO(kept.status());
  REQUIRE(kept.ok());
  return *kept;
}

std::vector<std::string> Files(const TempDirectory& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory.File("definitions"))) {
    files.push_back(entry.path().filename().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST_CASE("what a store acknowledges of pools and DNAs is kept beside it, as it was last changed") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  CHECK(Kept(directory.path()).definitions.ByteSizeLong() == 0);
  v1::WriteBatch first = Batch(Spec("pools/web", 1), 1);
  *first.add_put_dnas()->mutable_dna() = Revision("0123456789ab");
  REQUIRE(CommitAndWait(*store, first).ok());
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/web", 2), 2)).ok());
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/db", 3), 3)).ok());
  CHECK(Files(directory) ==
        std::vector<std::string>{"db.pool", "web.pool", "web@0123456789ab.dna"});

  DefinitionFiles::Kept kept = Kept(directory.path());
  CHECK(kept.damaged.empty());
  REQUIRE(kept.definitions.pools_size() == 2);
  CHECK(MessageDifferencer::Equals(kept.definitions.pools(0), Spec("pools/db", 3)));
  CHECK(MessageDifferencer::Equals(kept.definitions.pools(1), Spec("pools/web", 2)));
  REQUIRE(kept.definitions.dnas_size() == 1);
  CHECK(MessageDifferencer::Equals(kept.definitions.dnas(0), Revision("0123456789ab")));

  v1::WriteBatch erasure;
  erasure.add_erase("pools/db");
  erasure.add_erase("dnas/web@0123456789ab");
  REQUIRE(CommitAndWait(*store, erasure).ok());
  CHECK(Files(directory) == std::vector<std::string>{"web.pool"});
}

TEST_CASE("only the daemon's user may read what is kept") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/web", 1), 1)).ok());
  struct stat info {};
  REQUIRE(stat(directory.File("definitions").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
  REQUIRE(stat(directory.File("definitions/web.pool").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("many definitions at once are kept as one is") {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  v1::WriteBatch batch;
  for (int i = 0; i < 100; ++i) *batch.add_put_specs() = Spec("pools/p" + std::to_string(i), i);
  v1::Event& event = *batch.add_events();
  event.set_revision(1);
  REQUIRE(CommitAndWait(*store, batch).ok());
  const DefinitionFiles::Kept kept = Kept(directory.path());
  CHECK(kept.damaged.empty());
  CHECK(kept.definitions.pools_size() == 100);
}

TEST_CASE("a damaged, foreign or half-written definition counts for nothing, and is named") {
  const TempDirectory directory;
  {
    const auto store = OpenStore(directory.path());
    REQUIRE(CommitAndWait(*store, Batch(Spec("pools/web", 1), 1)).ok());
  }
  const std::string file = directory.File("definitions/web.pool");
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory.File("definitions/" + name), std::ios::binary) << text;
  };
  std::string flipped = bytes;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  put("web.pool", flipped);
  put("short.pool", bytes.substr(0, 10));
  put("empty.pool", "");
  put("other.pool", bytes);
  put("web@0123456789ab.dna", bytes);
  put("fine.pool.part", bytes);
  put("README", "nobody's");
  std::filesystem::create_symlink("/etc/passwd", directory.File("definitions/link.pool"));
  std::filesystem::create_directory(directory.File("definitions/directory.pool"));
  const DefinitionFiles::Kept kept = Kept(directory.path());
  CHECK(kept.definitions.ByteSizeLong() == 0);
  CHECK(kept.damaged.size() == 7);
}

TEST_CASE("a start writes the definitions that are missing and removes those of nobody") {
  const TempDirectory directory;
  v1::Definitions definitions;
  *definitions.add_pools() = Spec("pools/web", 1);
  *definitions.add_dnas() = Revision("0123456789ab");
  DefinitionFiles files(directory.path());
  REQUIRE(files.Replace(definitions).ok());
  CHECK(MessageDifferencer::Equals(Kept(directory.path()).definitions, definitions));
  definitions.clear_dnas();
  definitions.mutable_pools(0)->set_managed_instances(2);
  REQUIRE(files.Replace(definitions).ok());
  CHECK(MessageDifferencer::Equals(Kept(directory.path()).definitions, definitions));
  CHECK(Files(directory) == std::vector<std::string>{"web.pool"});
}

TEST_CASE("a name that is none of ours becomes no path") {
  const TempDirectory directory;
  v1::Definitions definitions;
  for (const char* name : {"pools/../web", "pools/", "pools/a/b", "web", "pools/A", "pools/x.y"}) {
    *definitions.add_pools() = Spec(name, 1);
  }
  REQUIRE(DefinitionFiles(directory.path()).Replace(definitions).ok());
  CHECK_FALSE(std::filesystem::exists(directory.File("definitions")));
}

TEST_CASE("definitions that cannot be written keep nothing from being stored, and are told once") {
  const TempDirectory directory;
  std::ofstream(directory.File("definitions")) << "not a directory";
  std::vector<std::string> told;
  Store::Options options;
  options.on_definitions_error = [&told](const absl::Status& error) {
    told.emplace_back(error.message());
  };
  const auto store = OpenStore(directory.path(), options);
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/web", 1), 1)).ok());
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/db", 1), 2)).ok());
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("definitions") != std::string::npos);

  // With the next ones, all.
  std::filesystem::remove(directory.File("definitions"));
  REQUIRE(CommitAndWait(*store, Batch(Spec("pools/third", 1), 3)).ok());
  CHECK(Kept(directory.path()).definitions.pools_size() == 3);
}

}  // namespace
}  // namespace shadow
