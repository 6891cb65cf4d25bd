// Archives that somebody has changed: each is refused as a whole, or restored as a store that
// opens; nothing is written beside the two files, and nothing is left behind.
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "storage/backup.h"
#include "storage/tar.h"
#include "tests/fakes/random_seed.h"
#include "tests/fault/tally.h"
#include "tests/storage/numbered_batches.h"

namespace shadow {
namespace {

constexpr size_t kPageBytes = 4096;  // Of SQLite.

std::string ReadAll(Backup& backup) {
  std::string archive;
  while (true) {
    const auto piece = backup.Read(size_t{1} << 20);
    REQUIRE(piece.ok());
    if (piece->empty()) return archive;
    archive += *piece;
  }
}

std::string GoodArchive() {
  const TempDirectory origin;
  const std::unique_ptr<Store> store = OpenStore(origin.path());
  for (int64_t number = 1; number <= 40; ++number) {
    REQUIRE(CommitAndWait(*store, NumberedBatch(number)).ok());
  }
  const auto backup = Backup::Make(origin.path(), [] { return false; });
  REQUIRE(backup.ok());
  return ReadAll(**backup);
}

class Forger {
 public:
  explicit Forger(uint64_t seed) : random_(seed) {}

  // One to three changes of `archive`.
  std::string Forge(std::string archive) {
    for (size_t changes = 1 + Draw(3); changes > 0 && !archive.empty(); --changes) Change(archive);
    return archive;
  }

 private:
  size_t Draw(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }
  char Byte() { return static_cast<char>(Draw(256)); }

  void Change(std::string& archive) {
    switch (Draw(7)) {
      case 0:  // Bytes anywhere.
        for (size_t i = 1 + Draw(8); i > 0; --i) archive[Draw(archive.size())] = Byte();
        return;
      case 1:  // Bytes of SQLite's own header and of its schema.
        for (size_t i = 1 + Draw(4); i > 0; --i) {
          archive[std::min(storage::kTarBlockBytes + Draw(kPageBytes), archive.size() - 1)] =
              Byte();
        }
        return;
      case 2:
        archive.resize(Draw(archive.size()));
        return;
      case 3:
        return Move(archive, storage::kTarBlockBytes);
      case 4:
        return Move(archive, kPageBytes);
      case 5:
        archive.insert(Draw(archive.size()), std::string(1 + Draw(2 * kPageBytes), Byte()));
        return;
      default:
        return ChangeHeader(archive);
    }
  }

  // A piece that stands elsewhere too.
  void Move(std::string& archive, size_t bytes) {
    if (archive.size() < 2 * bytes) return;
    const size_t pieces = archive.size() / bytes;
    archive.replace(Draw(pieces) * bytes, bytes, archive.substr(Draw(pieces) * bytes, bytes));
  }

  // Another name or size, with a checksum that fits.
  void ChangeHeader(std::string& archive) {
    static const char* const kNames[] = {"state.db",    "metrics.db", "../state.db",
                                         "/etc/passwd", "state.db/",  ""};
    const std::string header =
        storage::TarHeader({.name = kNames[Draw(std::size(kNames))],
                            .bytes = static_cast<int64_t>(random_() >> (1 + Draw(63)))});
    archive.replace(0, std::min(header.size(), archive.size()), header);
  }

  std::mt19937_64 random_;
};

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    names.insert(std::filesystem::relative(entry.path(), directory));
  }
  return names;
}

// What was restored opens, and says what is damaged in it.
void CheckRestored(const std::string& directory) {
  const auto store = Store::Open(directory, {});
  if (!store.ok()) {
    INFO(store.status());
    CHECK((absl::IsDataLoss(store.status()) || absl::IsFailedPrecondition(store.status())));
    return;
  }
  const auto contents = (*store)->Load();
  INFO(contents.status());
  CHECK((contents.ok() || absl::IsDataLoss(contents.status())));
}

TEST_CASE("an archive that was changed is refused as a whole, or restored as a store that opens") {
  Forger forger(RandomSeed());
  Tally tally("changed backup", "archives");
  const std::string good = GoodArchive();
  int64_t restored = 0;
  for (int i = 0; i < 400; ++i) {
    const TempDirectory place;
    const std::string state = place.File("state");
    std::filesystem::create_directory(state);
    std::ofstream(place.File("archive"), std::ios::binary) << forger.Forge(good);
    const absl::Status status = RestoreBackup(place.File("archive"), state);
    INFO("archive " << i << ": " << status);
    tally.Try();
    std::set<std::string> wanted = {"archive", "state"};
    if (status.ok()) wanted.merge(std::set<std::string>{"state/state.db", "state/metrics.db"});
    if (NamesIn(place.path()) != wanted) tally.Leak(1);
    if (!status.ok()) {
      CHECK((absl::IsDataLoss(status) || absl::IsFailedPrecondition(status)));
      continue;
    }
    ++restored;
    CheckRestored(state);
  }
  tally.Note(restored, "restored");
}

}  // namespace
}  // namespace shadow
