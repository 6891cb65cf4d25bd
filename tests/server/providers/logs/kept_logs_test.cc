// The logs of instances that have ended: how many are kept, and whose.
#include "server/providers/logs/kept_logs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

// Kept logs, and a place for the logs of instances that have not ended yet.
struct KeptWorld {
  KeptWorld() {
    std::filesystem::create_directory(path);
    std::filesystem::create_directory(running);
  }

  std::string LogOf(const std::string& id) const { return absl::StrCat(running, "/", id, ".log"); }

  // As if `instance` had written `text` and ended.
  absl::Status End(const InstanceSpec& instance, const std::string& text) const {
    WriteFile(LogOf(instance.id), text);
    return kept.Keep(instance, LogOf(instance.id));
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryDirectory directory;
  const std::string path = directory / "kept";
  const std::string running = directory / "running";
  const KeptLogs kept{path};
};

InstanceSpec EndedOf(const std::string& pool, const std::string& shadow, int number) {
  return {.id = absl::StrCat("i", number), .name = "", .pool = pool, .shadow = shadow, .dna = {}};
}

std::string PreviousOf(const KeptWorld& world, const InstanceSpec& instance) {
  const auto piece = world.kept.Read(instance, {.previous = true, .bytes_max = 1000});
  return piece.ok() ? absl::StrCat(piece->id, ": ", piece->data) : piece.status().ToString();
}

TEST_CASE("the last two logs of a base and of each shadow pool are kept, others' stay") {
  const KeptWorld world;
  for (int i = 1; i <= 4; ++i) {
    REQUIRE(world.End(EndedOf("web", "", i), absl::StrCat("base ", i)).ok());
    CHECK_FALSE(std::filesystem::exists(world.LogOf(absl::StrCat("i", i))));
  }
  REQUIRE(world.End(EndedOf("web", "r1", 9), "shadow 9").ok());
  CHECK(world.Files() ==
        std::vector<std::string>{"web..i3.ended", "web..i4.ended", "web.r1.i9.ended"});
  CHECK(PreviousOf(world, EndedOf("web", "", 77)) == "i4: base 4");
  CHECK(PreviousOf(world, EndedOf("web", "r1", 77)) == "i9: shadow 9");
  const auto own = world.kept.Read(EndedOf("web", "", 3), {.bytes_max = 1000});
  REQUIRE(own.ok());
  CHECK(own->data == "base 3");
  CHECK(own->ended);
  CHECK(absl::IsNotFound(world.kept.Read(EndedOf("web", "", 2), {.bytes_max = 9}).status()));
  CHECK(absl::IsNotFound(
      world.kept.Read(EndedOf("db", "", 4), {.previous = true, .bytes_max = 9}).status()));
}

TEST_CASE("of all pools together only the newest logs are kept") {
  const KeptWorld world;
  const int pools = KeptLogs::kOfAll + 8;
  for (int i = 1; i <= pools; ++i) {
    REQUIRE(world.End(EndedOf(absl::StrCat("pool", i), "", i), "last words").ok());
  }
  CHECK(world.Files().size() == static_cast<std::size_t>(KeptLogs::kOfAll));
  CHECK(PreviousOf(world, EndedOf(absl::StrCat("pool", pools), "", 1)) ==
        absl::StrCat("i", pools, ": last words"));
  CHECK_THAT(PreviousOf(world, EndedOf("pool1", "", 1)), Catch::Contains("no log is kept"));
}

TEST_CASE("instances that end all at once keep no more logs than one after the other") {
  const KeptWorld world;
  constexpr int kThreads = 8;
  constexpr int kEndsOfEach = 25;
  std::vector<int> failed(kThreads, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kEndsOfEach; ++i) {
        const std::string shadow = i % 2 == 0 ? "" : absl::StrCat("r", i);
        if (!world.End(EndedOf("web", shadow, 100 * t + i), "last words").ok())
          ++failed[static_cast<std::size_t>(t)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == std::vector<int>(kThreads, 0));
  CHECK(world.Files().size() <= static_cast<std::size_t>(KeptLogs::kOfAll));
  CHECK(std::filesystem::is_empty(world.running));
  REQUIRE(world.End(EndedOf("web", "", 9999), "the very last").ok());
  CHECK(PreviousOf(world, EndedOf("web", "", 1)) == "i9999: the very last");
  const std::vector<std::string> files = world.Files();
  CHECK(std::count_if(files.begin(), files.end(), [](const std::string& name) {
          return name.starts_with("web..");
        }) <= KeptLogs::kOfGroup);
}

TEST_CASE("a log that cannot be kept is removed, so that it takes no space") {
  const KeptWorld world;
  const KeptLogs nowhere(world.directory / "missing");
  for (const std::string id : {"i1", "i2", "i3"}) WriteFile(world.LogOf(id), "last words");
  CHECK(nowhere.Keep(EndedOf("web", "", 1), world.LogOf("i1")).ok());
  std::filesystem::create_directories(world.path + "/web..i2.ended/full");
  CHECK(world.kept.Keep(EndedOf("web", "", 2), world.LogOf("i2")).ok());
  CHECK(world.kept.Keep(EndedOf("../etc", "", 3), world.LogOf("i3")).ok());
  CHECK(std::filesystem::is_empty(world.running));
  CHECK(world.Files() == std::vector<std::string>{"web..i2.ended"});
  CHECK_THAT(PreviousOf(world, EndedOf("web", "", 1)), Catch::Contains("no log is kept"));
  CHECK(world.kept.Keep(EndedOf("web", "", 4), world.LogOf("i4")).ok());  // It was never there.
  CHECK(absl::IsNotFound(
      nowhere.Read(EndedOf("web", "", 1), {.previous = true, .bytes_max = 9}).status()));
}

TEST_CASE("links among the logs are neither kept nor followed, and what they name stays") {
  const KeptWorld world;
  const std::string secret = world.directory / "secret";
  WriteFile(secret, "password");
  // In the place of an instance's log.
  REQUIRE(symlink(secret.c_str(), world.LogOf("i1").c_str()) == 0);
  REQUIRE(mkfifo(world.LogOf("i2").c_str(), 0600) == 0);
  for (int i = 1; i <= 2; ++i) {
    CHECK(world.kept.Keep(EndedOf("web", "", i), world.LogOf(absl::StrCat("i", i))).ok());
  }
  CHECK(world.Files().empty());
  CHECK(std::filesystem::is_empty(world.running));
  // In the place of one that is kept: read by id, as the last one, and overwritten.
  REQUIRE(symlink(secret.c_str(), (world.path + "/web..i5.ended").c_str()) == 0);
  REQUIRE(mkfifo((world.path + "/web..i6.ended").c_str(), 0600) == 0);
  for (int i = 5; i <= 6; ++i) {
    const auto piece = world.kept.Read(EndedOf("web", "", i), {.bytes_max = 1000});
    CAPTURE(i);
    CHECK_FALSE(piece.ok());
    CHECK_FALSE(absl::IsNotFound(piece.status()));
  }
  CHECK_THAT(PreviousOf(world, EndedOf("web", "", 1)), Catch::Contains("no log is kept"));
  REQUIRE(world.End(EndedOf("web", "", 5), "last words").ok());
  CHECK(PreviousOf(world, EndedOf("web", "", 1)) == "i5: last words");
  CHECK(ReadText(secret) == "password");
}

TEST_CASE("files of other names among the kept logs are left alone") {
  const KeptWorld world;
  const std::vector<std::string> others = {".ended", "README", "web..Not an id.ended", "x.ended2"};
  for (const std::string& name : others) WriteFile(world.path + "/" + name, "not ours");
  for (int i = 1; i <= 5; ++i) REQUIRE(world.End(EndedOf("web", "", i), "last words").ok());
  for (const std::string& name : others) CHECK(ReadText(world.path + "/" + name) == "not ours");
  CHECK(world.Files().size() == others.size() + KeptLogs::kOfGroup);
}

TEST_CASE("a log is read where the instance writes it, and where it is kept after its end") {
  const KeptWorld world;
  const InstanceSpec instance = EndedOf("web", "", 1);
  const auto read = [&] {
    return ReadPresentOrKept(world.LogOf("i1"), world.kept, instance, {.bytes_max = 100});
  };
  CHECK(absl::IsNotFound(read().status()));
  WriteFile(world.LogOf("i1"), "running");
  auto piece = read();
  REQUIRE(piece.ok());
  CHECK((piece->id == "i1" && piece->data == "running" && !piece->ended));
  REQUIRE(world.kept.Keep(instance, world.LogOf("i1")).ok());
  piece = read();
  REQUIRE(piece.ok());
  CHECK((piece->id == "i1" && piece->data == "running" && piece->ended));
}

}  // namespace
}  // namespace shadow
