// The power is cut at a random instant: what was acknowledged is there when the machine starts
// again.
#include <atomic>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>

#include "tests/fakes/random_seed.h"
#include "tests/fault/tally.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/numbered_batches.h"

namespace shadow {
namespace {

#ifdef SHADOW_SANITIZED
constexpr int kRounds = 40;  // Each takes ten times as long.
#else
constexpr int kRounds = 200;
#endif
constexpr int kRoundsOfOneStore = 20;  // Then with a new one, so that checks of it stay quick.

// Of this process.
int64_t OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

class PowerCuts {
 public:
  explicit PowerCuts(uint64_t seed) : random_(seed) {}

  // From now on a sync does nothing, so what the store holds need not fit together.
  void Lie() {
    lies_ = true;
    disk_.IgnoreSyncs();
  }

  int64_t lost() const { return lost_; }
  int refused() const { return refused_; }

  // A store that is refused fails those who need it.
  void Rounds(int rounds, Tally& tally) {
    const int64_t descriptors = OpenDescriptors();
    Rounds(rounds);
    tally.Try(rounds);
    tally.Lose(lost_);
    tally.Leak(OpenDescriptors() - descriptors);
    tally.Fail(refused_);
    tally.Note(acknowledged_in_all_, "batches acknowledged");
    CHECK(acknowledged_in_all_ > rounds);
  }

  void Rounds(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      INFO("round " << round);
      if (round % kRoundsOfOneStore == 0) Begin();
      if (!Round()) Begin();
    }
    store_.reset();
  }

 private:
  // A new store in a new directory, perhaps not at the first try.
  void Begin() {
    store_.reset();
    directory_.emplace();
    acknowledged_.clear();
    last_ = 0;
    if (Draw(2) == 0) {
      disk_.CutPowerAfter(1 + Draw(40));
      Store::Open(directory_->path(), Impatient()).status().IgnoreError();
      disk_.RestorePower(random_);
    }
    store_ = OpenStore(directory_->path(), Impatient());
  }

  // False: the store is refused from now on.
  bool Round() {
    broken_ = false;
    if (Draw(4) == 0) {  // While it is closed and opened.
      disk_.CutPowerAfter(1 + Draw(60));
      store_.reset();
      auto opened = Store::Open(directory_->path(), Impatient());
      broken_ = !opened.ok();
      if (opened.ok()) store_ = *std::move(opened);
    } else {
      disk_.CutPowerAfter(static_cast<int64_t>(
          std::exp(std::uniform_real_distribution<double>(0, std::log(3000))(random_))));
    }
    if (store_ != nullptr) WriteUntilCut();
    store_.reset();
    const bool power_was_cut = disk_.power_is_cut();
    disk_.RestorePower(random_);
    if (!power_was_cut) {
      REQUIRE(broken_);
      ++refused_;
      return false;
    }
    auto opened = Store::Open(directory_->path(), Impatient());
    if (!opened.ok()) {
      INFO(opened.status());
      CHECK(absl::IsDataLoss(opened.status()));
      ++refused_;
      return false;
    }
    store_ = *std::move(opened);
    const std::set<int64_t> there = lies_ ? Events() : NumbersIn(*store_);
    std::set<int64_t> lost;
    std::set_difference(acknowledged_.begin(), acknowledged_.end(), there.begin(), there.end(),
                        std::inserter(lost, lost.end()));
    lost_ += std::ssize(lost);
    for (const int64_t number : lost) acknowledged_.erase(number);
    last_ = there.empty() ? 0 : *there.rbegin();
    return true;
  }

  // Also ends when the store finds itself damaged: it then refuses every batch without calling the
  // disk, so the power would never be cut.
  void WriteUntilCut() {
    while (!disk_.power_is_cut() && !broken_) {
      const int64_t number = ++last_;
      v1::WriteBatch batch = NumberedBatch(number);
      if (Draw(8) == 0) {
        batch.mutable_events(0)->set_message(std::string(static_cast<size_t>(Draw(40'000)), 'x'));
      }
      const auto done = [this, number](const absl::Status& status) {
        const std::lock_guard lock(mutex_);
        // A full queue alone says nothing about the store.
        if (!status.ok() && !absl::IsResourceExhausted(status)) broken_ = true;
        if (!status.ok()) return;
        acknowledged_.insert(number);
        ++acknowledged_in_all_;
      };
      if (Draw(8) != 0) {
        store_->Commit(std::move(batch), done);
        continue;
      }
      std::promise<void> waited;  // Keeps the queue short.
      store_->Commit(std::move(batch), [&](const absl::Status& status) {
        done(status);
        waited.set_value();
      });
      waited.get_future().wait();
    }
  }

  std::set<int64_t> Events() {
    std::set<int64_t> numbers;
    const auto events = store_->ReadEvents(0, "", 1'000'000);
    if (!events.ok()) return numbers;
    for (const v1::Event& event : *events) numbers.insert(event.revision());
    return numbers;
  }

  int Draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  FaultyDisk disk_;  // Outlives what is on it.
  std::mt19937_64 random_;
  std::optional<TempDirectory> directory_;
  std::unique_ptr<Store> store_;
  bool lies_ = false;
  int64_t last_ = 0;
  std::atomic<bool> broken_ = false;
  std::mutex mutex_;  // Guards acknowledged_ while the store writes.
  std::set<int64_t> acknowledged_;
  int64_t acknowledged_in_all_ = 0;
  int64_t lost_ = 0;
  int refused_ = 0;
};

TEST_CASE("power cuts lose no acknowledged batch and damage no store") {
  Tally tally("power cut", "power cuts");
  PowerCuts(RandomSeed()).Rounds(kRounds, tally);
}

TEST_CASE("5000 power cuts lose no acknowledged batch and damage no store", "[.long]") {
  Tally tally("power cut, long", "power cuts");
  PowerCuts(RandomSeed()).Rounds(5000, tally);
}

// The proof that such a test can fail.
TEST_CASE("a disk that only says that it syncs loses batches, and the tests see it") {
  PowerCuts cuts(7);
  cuts.Lie();
  cuts.Rounds(kRoundsOfOneStore);
  CHECK(cuts.lost() + cuts.refused() > 0);
}

}  // namespace
}  // namespace shadow
