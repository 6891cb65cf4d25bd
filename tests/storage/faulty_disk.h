// A disk below SQLite that fails: it loses what was not synced when its power is cut, and it
// refuses a call that the test names.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace shadow {

// As long as it lives, every SQLite file of this process that is opened is on it; those that are
// open when it ends must have been closed. Files must be opened only while no other test's are.
// Thread-safe.
//
// What is modelled: the content of files, written in sectors of which any subset may have arrived
// since the last sync; a cut to a shorter length, a removal and a creation, which may have arrived
// or not. What is not: renames and syncs that the store makes without SQLite (of a file that it
// creates), which count as durable.
class FaultyDisk {
 public:
  enum class Call { kOpen, kRead, kWrite, kSync, kTruncate };
  static constexpr std::array<Call, 5> kCalls = {Call::kOpen, Call::kRead, Call::kWrite,
                                                 Call::kSync, Call::kTruncate};

  FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;
  ~FaultyDisk();

  // Which calls are refused from now on: number `first` of them, counted from 1, and the `more`
  // that follow.
  struct Fault {
    Call call = Call::kRead;
    int code = SQLITE_IOERR;
    int64_t first = 0;
    int64_t more = 0;
  };
  void SetFault(const Fault& fault);
  void ClearFault();
  // How many calls were refused since SetFault.
  int64_t refused() const;

  // The power fails at the `calls`-th write, sync, truncation or removal from now on. All calls
  // fail then.
  void CutPowerAfter(int64_t calls);
  bool power_is_cut() const;

  // The disk as a machine finds it that starts again, once everything on it is closed. What arrived
  // is drawn from `random`.
  void RestorePower(std::mt19937_64& random);

  // Says that it has synced, and has not: what tests with power cuts must notice.
  void IgnoreSyncs();

 private:
  friend struct FaultyFile;

  struct Change {
    bool truncate = false;
    int64_t offset = 0;  // Of a truncation: the new size.
    std::string bytes;
  };
  struct File {
    std::string durable;
    bool durable_exists = false;
    std::vector<Change> changes;  // Since the last sync.
    bool removed = false;
  };

  // All with mutex_.
  bool Refuse(Call call, int& code);
  bool TakePower();
  void NoteOpen(const std::string& path);
  void NoteSync(const std::string& path);
  static std::string Survivor(const File& file, std::mt19937_64& random);

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory);

  mutable std::mutex mutex_;
  Fault fault_;
  int64_t calls_ = 0;  // That the fault counts, since SetFault.
  int64_t refused_ = 0;
  int64_t calls_until_cut_ = -1;  // Negative: no cut is planned.
  bool cut_ = false;
  bool ignore_syncs_ = false;
  std::map<std::string, File> files_;  // Of databases and WALs, by path.

  sqlite3_vfs* const below_;
  sqlite3_vfs vfs_;
};

}  // namespace shadow
