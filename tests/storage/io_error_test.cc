// Each call of the disk, and each allocation of SQLite, fails once, and from once on for ever: the
// store answers with an error, and has everything that it acknowledged, and nothing by halves, when
// it is opened again.
#include <cstdio>

#include "tests/fakes/faulty_memory.h"
#include "tests/fault/tally.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/numbered_batches.h"
#include "tests/storage/old_store.h"

namespace shadow {
namespace {

using Call = FaultyDisk::Call;

constexpr int64_t kForEver = 1'000'000'000;
constexpr int64_t kBatches = 4;  // Beyond those that are there before.
constexpr int64_t kImported = 300;

struct Refusal {
  const char* what;
  Call call;
  int code;
};
constexpr Refusal kRefusals[] = {
    {"open", Call::kOpen, SQLITE_CANTOPEN},
    {"read", Call::kRead, SQLITE_IOERR_READ},
    {"write", Call::kWrite, SQLITE_IOERR_WRITE},
    {"write, disk full", Call::kWrite, SQLITE_FULL},
    {"sync", Call::kSync, SQLITE_IOERR_FSYNC},
    {"truncate", Call::kTruncate, SQLITE_IOERR_TRUNCATE},
};

// Errors that are the disk's, not damage: the daemon is started again, nobody restores a backup.
bool IsDiskError(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

// A directory of which a copy is kept in memory, to begin each time with the same.
class Beginning {
 public:
  template <typename F>
  explicit Beginning(F make) {
    make(directory_.path());
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.is_regular_file()) files_[entry.path()] = ReadFile(entry.path());
    }
  }

  const std::string& Again() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      std::filesystem::remove_all(entry.path());
    }
    for (const auto& [path, content] : files_) {
      std::ofstream(path, std::ios::binary) << content;
    }
    return directory_.path();
  }

 private:
  TempDirectory directory_;
  std::map<std::string, std::string> files_;
};

// What one life of a store acknowledged.
struct Life {
  std::set<int64_t> acknowledged;
  bool imported = false;
};

v1::WriteBatch Import() {
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/imported");
  for (int64_t i = 0; i < kImported; ++i) AddSample(*batch.mutable_samples(0), i * 60, 1);
  return batch;
}

// Opens, writes, reads and closes it. All errors must be the disk's.
Life Live(const std::string& directory, int64_t first) {
  Life life;
  const auto opened = Store::Open(directory, Impatient());
  if (!opened.ok()) {
    INFO(opened.status());
    CHECK(IsDiskError(opened.status()));
    return life;
  }
  Store& store = **opened;
  absl::Status broken;
  const auto commit = [&](v1::WriteBatch batch) {
    absl::Status status = CommitAndWait(store, std::move(batch));
    INFO(status);
    CHECK((status.ok() || IsDiskError(status)));
    // After the first error nothing is written any more.
    if (!broken.ok()) CHECK(status == broken);
    broken = status;
    return status.ok();
  };
  for (int64_t number = first; number < first + kBatches; ++number) {
    if (commit(NumberedBatch(number))) life.acknowledged.insert(number);
    if (number == first + 1) life.imported = commit(Import());
  }
  const auto read = [](const absl::Status& status) {
    INFO(status);
    CHECK((status.ok() || IsDiskError(status)));
  };
  read(store.Load().status());
  const auto events = store.ReadEvents(0, "", 1000);
  read(events.status());
  std::set<int64_t> numbers;
  for (const v1::Event& event : events.value_or(std::vector<v1::Event>{})) {
    numbers.insert(event.revision());
  }
  CHECK((!events.ok() || std::includes(numbers.begin(), numbers.end(), life.acknowledged.begin(),
                                       life.acknowledged.end())));
  read(store.ReadDecisions("pools/web", 0, 100).status());
  read(store
           .ReadSamples("pools/imported", absl::InfinitePast(), absl::InfiniteFuture(),
                        absl::ZeroDuration(), 1000)
           .status());
  return life;
}

void CheckAfter(const std::string& directory, const Life& life, int64_t before) {
  const std::unique_ptr<Store> store = OpenStore(directory);
  const std::set<int64_t> there = NumbersIn(*store);
  for (int64_t number = 1; number <= before; ++number) CHECK(there.contains(number));
  CHECK(std::includes(there.begin(), there.end(), life.acknowledged.begin(),
                      life.acknowledged.end()));
  const auto imported = store->ReadSamples("pools/imported", absl::InfinitePast(),
                                           absl::InfiniteFuture(), absl::ZeroDuration(), 1000);
  REQUIRE(imported.ok());
  const bool all = std::ssize(*imported) == kImported;
  CHECK((all || (imported->empty() && !life.imported)));
}

// Every call in turn, the later ones in growing strides; once, and for ever from there on.
template <typename F>
void RefuseEach(const Refusal& refusal, F live_and_check) {
  int64_t tried = 0;
  for (const int64_t more : {int64_t{0}, kForEver}) {
    for (int64_t first = 1; first < kForEver; first += 1 + first / 16) {
      INFO(refusal.what << " number " << first << (more > 0 ? " and all later ones" : ""));
      FaultyDisk disk;
      disk.SetFault({.call = refusal.call, .code = refusal.code, .first = first, .more = more});
      if (!live_and_check(disk)) break;
      ++tried;
    }
  }
  std::printf("%s: refused at %lld calls\n", refusal.what, static_cast<long long>(tried));
}

// The same of allocations.
template <typename F>
void LackMemoryAtEach(const std::string& row, F live_and_check) {
  Tally tally("memory of SQLite, " + row, "allocations");
  for (const int64_t more : {int64_t{0}, kForEver}) {
    for (int64_t first = 1; first < kForEver; first += 1 + first / 8) {
      INFO("allocation " << first << (more > 0 ? " and all later ones" : ""));
      FaultyMemory memory;
      memory.SetFault(first, more);
      if (!live_and_check(memory)) break;
      tally.Try();
    }
  }
}

// With enough of what the store is made of for samples to be moved into chunks.
Beginning SomeBatches(int64_t batches) {
  return Beginning([batches](const std::string& directory) {
    const std::unique_ptr<Store> store = OpenStore(directory);
    for (int64_t number = 1; number <= batches; ++number) store->Commit(NumberedBatch(number), {});
    REQUIRE(CommitAndWait(*store, {}).ok());
  });
}

TEST_CASE("an allocation of SQLite that fails is an error, and halves nothing") {
  constexpr int64_t kBefore = 250;
  const Beginning beginning = SomeBatches(kBefore);
  LackMemoryAtEach("a store in use", [&](FaultyMemory& memory) {
    const std::string& directory = beginning.Again();
    const Life life = Live(directory, kBefore + 1);
    const bool refused = memory.refused() > 0;
    memory.ClearFault();
    CheckAfter(directory, life, kBefore);
    return refused;
  });
}

TEST_CASE("an allocation of SQLite that fails once delays what is written, and refuses nothing") {
  constexpr int64_t kBefore = 20;
  const Beginning beginning = SomeBatches(kBefore);
  Tally tally("memory of SQLite, once, tried again", "allocations");
  for (int64_t first = 1;; first += 1 + first / 8) {
    INFO("allocation " << first);
    FaultyMemory memory;
    const std::string& directory = beginning.Again();
    {
      const std::unique_ptr<Store> store = OpenStore(directory);
      memory.SetFault(first, 0);
      for (int64_t number = kBefore + 1; number <= kBefore + kBatches; ++number) {
        if (!CommitAndWait(*store, NumberedBatch(number)).ok()) tally.Fail(1);
      }
      if (!CommitAndWait(*store, Import()).ok()) tally.Fail(1);
      memory.ClearFault();
    }
    if (memory.refused() == 0) break;
    tally.Try();
    const std::unique_ptr<Store> store = OpenStore(directory);
    if (std::ssize(NumbersIn(*store)) != kBefore + kBatches) tally.Lose(1);
  }
}

TEST_CASE(
    "an allocation of SQLite that fails in a creation is an error, and the next try is none") {
  const Beginning beginning([](const std::string&) {});
  LackMemoryAtEach("a creation", [&](FaultyMemory& memory) {
    const std::string& directory = beginning.Again();
    const Life life = Live(directory, 1);
    const bool refused = memory.refused() > 0;
    memory.ClearFault();
    CheckAfter(directory, life, 0);
    return refused;
  });
}

TEST_CASE("an allocation of SQLite that fails in a migration leaves the old version or the new") {
  const Beginning beginning(
      [](const std::string& directory) { MakeOldStore(directory, {.state = 1, .metrics = 1}); });
  LackMemoryAtEach("a migration", [&](FaultyMemory& memory) {
    const std::string& directory = beginning.Again();
    const absl::Status status = Store::Open(directory, Impatient()).status();
    INFO(status);
    CHECK((status.ok() || IsDiskError(status)));
    const bool refused = memory.refused() > 0;
    memory.ClearFault();
    CHECK(OpenStore(directory)->Load()->instances_size() == 1);
    return refused;
  });
}

TEST_CASE("a disk error at any call in use is an error, and halves nothing") {
  constexpr int64_t kBefore = 250;  // Enough for samples to be moved into chunks.
  const Beginning beginning = SomeBatches(kBefore);
  const Refusal refusal = GENERATE(from_range(std::begin(kRefusals), std::end(kRefusals)));
  RefuseEach(refusal, [&](FaultyDisk& disk) {
    const std::string& directory = beginning.Again();
    const Life life = Live(directory, kBefore + 1);
    const bool refused = disk.refused() > 0;
    disk.ClearFault();
    CheckAfter(directory, life, kBefore);
    return refused;
  });
}

TEST_CASE("a disk error at any call of a creation is an error, and the next try makes it") {
  const Beginning beginning([](const std::string&) {});
  const Refusal refusal = GENERATE(from_range(std::begin(kRefusals), std::end(kRefusals)));
  RefuseEach(refusal, [&](FaultyDisk& disk) {
    const std::string& directory = beginning.Again();
    const Life life = Live(directory, 1);
    const bool refused = disk.refused() > 0;
    disk.ClearFault();
    CheckAfter(directory, life, 0);
    return refused;
  });
}

TEST_CASE("a disk error at any call of a migration leaves the old version or the new one, whole") {
  const Beginning beginning(
      [](const std::string& directory) { MakeOldStore(directory, {.state = 1, .metrics = 1}); });
  const Refusal refusal = GENERATE(from_range(std::begin(kRefusals), std::end(kRefusals)));
  RefuseEach(refusal, [&](FaultyDisk& disk) {
    const std::string& directory = beginning.Again();
    const absl::Status status = Store::Open(directory, Impatient()).status();
    INFO(status);
    CHECK((status.ok() || IsDiskError(status)));
    const bool refused = disk.refused() > 0;
    disk.ClearFault();
    const std::unique_ptr<Store> store = OpenStore(directory);
    CHECK(store->Load()->instances_size() == 1);
    const auto samples = store->ReadSamples("pools/web", absl::InfinitePast(),
                                            absl::InfiniteFuture(), absl::ZeroDuration(), 10'000);
    REQUIRE(samples.ok());
    CHECK(samples->size() == 1000);
    return refused;
  });
}

}  // namespace
}  // namespace shadow
