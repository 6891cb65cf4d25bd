// Each system call at the store's files fails in its turn, once, and every n-th of them: what
// was acknowledged is there, an error is never taken for damage or for a store that is missing, and
// nothing is left over.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "storage/backup.h"
#include "storage/room/room.h"
#include "tests/fault/failing_calls/failing_here.h"
#include "tests/fault/tally.h"
#include "tests/storage/numbered_batches.h"

namespace shadow {
namespace {

constexpr int64_t kStoredBefore = 40;  // Batches.
constexpr int64_t kBatchesOfALife = 3;
constexpr int64_t kSmallBallastBytes = 1 << 20;

constexpr RefusedCall kStoreCalls[] = {
    {"open, no descriptor", Faults::OfStore(Faults::kOpen), EMFILE},
    {"read", Faults::OfStore(Faults::kRead), EIO},
    {"short reads", Faults::OfStore(Faults::kRead), Faults::kShort},
    {"write, disk full", Faults::OfStore(Faults::kWrite), ENOSPC},
    {"write", Faults::OfStore(Faults::kWrite), EIO},
    {"short writes", Faults::OfStore(Faults::kWrite), Faults::kShort},
    {"stat", Faults::OfStore(Faults::kStat), EIO},
    {"stat, no memory", Faults::OfStore(Faults::kStat), ENOMEM},
    {"unlink", Faults::OfStore(Faults::kUnlink), EIO},
    {"rename", Faults::OfStore(Faults::kRename), EIO},
    {"sync", Faults::OfStore(Faults::kSync), EIO},
};

// The system's, not the store's: it is tried again, and nobody restores a backup.
bool IsOfTheSystem(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsUnknown(status);
}

absl::StatusOr<std::string> ArchiveOf(const std::string& directory) {
  const auto backup = Backup::Make(directory, [] { return false; });
  if (!backup.ok()) return backup.status();
  std::string archive;
  while (true) {
    const auto piece = (*backup)->Read(size_t{1} << 20);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return archive;
    archive += *piece;
  }
}

// Of one kind of call.
class StoreRow {
 public:
  explicit StoreRow(const RefusedCall& refused)
      : refused_(refused), tally_(std::string("store, ") + refused.what, "calls") {
    const TempDirectory origin;
    const std::unique_ptr<Store> store = OpenStore(origin.path());
    for (int64_t number = 1; number <= kStoredBefore; ++number) {
      REQUIRE(CommitAndWait(*store, NumberedBatch(number)).ok());
    }
    const auto archive = ArchiveOf(origin.path());
    REQUIRE(archive.ok());
    archive_ = place_.File("archive");
    std::ofstream(archive_, std::ios::binary) << *archive;
  }

  void Run() {
    ForEach([this](const std::string& directory, int64_t every, int64_t most) {
      return Live(directory, every, most);
    });
    ForEach([this](const std::string& directory, int64_t every, int64_t most) {
      return Restore(directory, every, most);
    });
  }

 private:
  // `live` says whether a call was refused.
  template <typename F>
  void ForEach(F live) {
    for (const int64_t most : {int64_t{1}, int64_t{0}}) {
      bool refused = true;
      for (int64_t every = 1; refused; every += 1 + every / (most == 1 ? 4 : 1)) {
        INFO(refused_.what << ", number " << every << (most == 0 ? " and so on" : ""));
        const TempDirectory directory;
        refused = live(directory.path(), every, most);
      }
    }
  }

  // SQLite takes what a disk cannot read (EIO) for damage, and does not tell one from the other.
  bool IsExpected(const absl::Status& status) const {
    const bool unreadable =
        refused_.error == EIO && refused_.calls == Faults::OfStore(Faults::kRead);
    return IsOfTheSystem(status) || (unreadable && absl::IsDataLoss(status));
  }

  // What it acknowledges; -1: the store does not open.
  int64_t Write(const std::string& directory) {
    Room room(directory, kSmallBallastBytes);
    Store::Options options = Impatient();
    options.room = &room;
    const auto store = Store::Open(directory, options);
    if (!store.ok()) {
      INFO(store.status());
      CHECK(IsExpected(store.status()));
      return -1;
    }
    (*store)->EndRetries();  // A full disk is not waited for.
    int64_t acknowledged = 0;
    for (int64_t number = kStoredBefore + 1; number <= kStoredBefore + kBatchesOfALife; ++number) {
      const absl::Status status = CommitAndWait(**store, NumberedBatch(number));
      INFO(status);
      CHECK((status.ok() || IsExpected(status)));
      if (status.ok()) ++acknowledged;
    }
    const auto events = (*store)->ReadEvents(0, "", 1'000'000);
    if (events.ok() && std::ssize(*events) < kStoredBefore + acknowledged) tally_.Lose(1);
    return acknowledged;
  }

  bool Live(const std::string& directory, int64_t every, int64_t most) {
    REQUIRE(RestoreBackup(archive_, directory).ok());
    (void)OpenStore(directory);  // It begins to be this one.
    const size_t descriptors = OpenDescriptors();
    FailingHere failing(refused_, every, most);
    const int64_t acknowledged = Write(directory);
    const auto archive = ArchiveOf(directory);
    CHECK(!RestoreBackup(archive_, directory).ok());  // A store is there.
    failing.End();
    const int64_t refused = FailingHere::refused();
    tally_.Try(refused);
    CountDescriptors(descriptors);

    const TempDirectory copy;
    if (archive.ok()) {
      std::ofstream(place_.File("made"), std::ios::binary) << *archive;
      REQUIRE(RestoreBackup(place_.File("made"), copy.path()).ok());
      CountLost(copy.path(), std::max<int64_t>(acknowledged, 0));
    }
    CountLost(directory, std::max<int64_t>(acknowledged, 0));
    CountFiles(directory, true);
    return refused > 0;
  }

  bool Restore(const std::string& directory, int64_t every, int64_t most) {
    const size_t descriptors = OpenDescriptors();
    FailingHere failing(refused_, every, most);
    const absl::Status restored = RestoreBackup(archive_, directory);
    failing.End();
    const int64_t refused = FailingHere::refused();
    tally_.Try(refused);
    CountDescriptors(descriptors);
    INFO(restored);
    if (!restored.ok()) {
      CHECK(IsExpected(restored));
      REQUIRE(RestoreBackup(archive_, directory).ok());  // Nothing is in its way.
    }
    CountLost(directory, 0);
    CountFiles(directory, false);
    return refused > 0;
  }

  void CountLost(const std::string& directory, int64_t acknowledged) {
    const std::set<int64_t> there = NumbersIn(*OpenStore(directory));
    for (int64_t number = 1; number <= kStoredBefore + acknowledged; ++number) {
      if (!there.contains(number)) tally_.Lose(1);
    }
  }

  void CountDescriptors(size_t before) {
    const size_t now = OpenDescriptors();
    if (now == before) return;
    std::printf("%s: %zu descriptors, %zu before\n", refused_.what, now, before);
    tally_.Leak(1);
  }

  // A store that was opened and closed has its two files, and perhaps the ballast.
  void CountFiles(const std::string& directory, bool has_ballast) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const std::string name = entry.path().filename();
      const bool known = name == "state.db" || name == "metrics.db" || name == "ballast";
      if (known && (name != "ballast" || has_ballast)) continue;
      std::printf("left behind: %s\n", name.c_str());
      tally_.Leak(1);
    }
  }

  const RefusedCall& refused_;
  Tally tally_;
  const TempDirectory place_;
  std::string archive_;
};

TEST_CASE("each system call at the store's files that fails is an error, and loses nothing") {
  for (const RefusedCall& refused : kStoreCalls) StoreRow(refused).Run();
}

}  // namespace
}  // namespace shadow
