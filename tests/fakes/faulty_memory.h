// SQLite without memory: an allocation that the test names fails.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>

namespace shadow {

// As long as it lives, SQLite's allocations are counted, all of them: none comes from memory that a
// connection keeps. No connection may be open when it begins or ends. One at a time; allocations on
// any thread.
class FaultyMemory {
 public:
  FaultyMemory() {
    REQUIRE(Current() == nullptr);
    Current() = this;
    sqlite3_shutdown();
    REQUIRE(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below_) == SQLITE_OK);
    sqlite3_mem_methods counted = below_;
    counted.xMalloc = [](int bytes) -> void* {
      return Current()->Refuse() ? nullptr : Current()->below_.xMalloc(bytes);
    };
    counted.xRealloc = [](void* memory, int bytes) -> void* {
      return Current()->Refuse() ? nullptr : Current()->below_.xRealloc(memory, bytes);
    };
    REQUIRE(sqlite3_config(SQLITE_CONFIG_MALLOC, &counted) == SQLITE_OK);
    REQUIRE(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
    REQUIRE(sqlite3_initialize() == SQLITE_OK);
  }
  ~FaultyMemory() {
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_MALLOC, &below_);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, kLookasideBytes, kLookasideSlots);
    sqlite3_initialize();
    Current() = nullptr;
  }
  FaultyMemory(const FaultyMemory&) = delete;
  FaultyMemory& operator=(const FaultyMemory&) = delete;

  // Number `first` from now on fails, counted from 1, and the `more` that follow.
  void SetFault(int64_t first, int64_t more) {
    refused_ = 0;
    calls_ = 0;
    more_ = more;
    first_ = first;
  }
  void ClearFault() { first_ = 0; }
  int64_t refused() const { return refused_; }

 private:
  static constexpr int kLookasideBytes = 1200;  // SQLite's own defaults.
  static constexpr int kLookasideSlots = 40;

  static FaultyMemory*& Current() {  // SQLite gives its callbacks no argument.
    static const std::unique_ptr<FaultyMemory*> kCurrent = std::make_unique<FaultyMemory*>(nullptr);
    return *kCurrent;
  }

  bool Refuse() {
    const int64_t first = first_;
    if (first == 0) return false;
    const int64_t call = ++calls_;
    const bool refuses = call >= first && call - first <= more_;
    if (refuses) ++refused_;
    return refuses;
  }

  sqlite3_mem_methods below_{};
  std::atomic<int64_t> first_{0};  // 0: none fails.
  std::atomic<int64_t> more_{0};
  std::atomic<int64_t> calls_{0};
  std::atomic<int64_t> refused_{0};
};

}  // namespace shadow
