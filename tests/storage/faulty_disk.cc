#include "tests/storage/faulty_disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <utility>

namespace shadow {

// What SQLite allocates for a file: this, then the file of the VFS below.
struct FaultyFile {
  sqlite3_file base;
  FaultyDisk* disk;
  const char* path;  // SQLite keeps it until the file is closed.

  static FaultyFile& Of(sqlite3_file* file) { return *reinterpret_cast<FaultyFile*>(file); }
  static sqlite3_file* Below(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<FaultyFile*>(file) + 1);
  }

  static int Close(sqlite3_file* file) {
    sqlite3_file* below = Below(file);
    return below->pMethods->xClose(below);
  }

  static int Read(sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
    int code = SQLITE_OK;
    {
      FaultyDisk& disk = *Of(file).disk;
      const std::lock_guard lock(disk.mutex_);
      if (disk.Refuse(FaultyDisk::Call::kRead, code)) return code;
    }
    sqlite3_file* below = Below(file);
    return below->pMethods->xRead(below, bytes, size, offset);
  }

  static int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    int code = SQLITE_OK;
    {
      FaultyDisk& disk = *Of(file).disk;
      const std::lock_guard lock(disk.mutex_);
      if (disk.Refuse(FaultyDisk::Call::kWrite, code)) return code;
      disk.files_[Of(file).path].changes.push_back(
          {.truncate = false,
           .offset = offset,
           .bytes = std::string(static_cast<const char*>(bytes), static_cast<size_t>(size))});
      if (disk.TakePower()) return SQLITE_IOERR_WRITE;
    }
    sqlite3_file* below = Below(file);
    return below->pMethods->xWrite(below, bytes, size, offset);
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    int code = SQLITE_OK;
    {
      FaultyDisk& disk = *Of(file).disk;
      const std::lock_guard lock(disk.mutex_);
      if (disk.Refuse(FaultyDisk::Call::kTruncate, code)) return code;
      disk.files_[Of(file).path].changes.push_back({.truncate = true, .offset = size, .bytes = ""});
      if (disk.TakePower()) return SQLITE_IOERR_TRUNCATE;
    }
    sqlite3_file* below = Below(file);
    return below->pMethods->xTruncate(below, size);
  }

  // The machine below is not asked: whether what it has survives is decided here.
  static int Sync(sqlite3_file* file, int /*flags*/) {
    FaultyDisk& disk = *Of(file).disk;
    const std::lock_guard lock(disk.mutex_);
    int code = SQLITE_OK;
    if (disk.Refuse(FaultyDisk::Call::kSync, code)) return code;
    if (disk.TakePower()) return SQLITE_IOERR_FSYNC;
    disk.NoteSync(Of(file).path);
    return SQLITE_OK;
  }

  static const sqlite3_io_methods& Methods();
};

namespace {

constexpr int64_t kSectorBytes = 512;

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Put(std::string& content, int64_t offset, std::string_view bytes) {
  const size_t end = static_cast<size_t>(offset) + bytes.size();
  if (content.size() < end) content.resize(end);
  content.replace(static_cast<size_t>(offset), bytes.size(), bytes);
}

}  // namespace

const sqlite3_io_methods& FaultyFile::Methods() {
  static const sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods made{};
    made.iVersion = 2;  // With shared memory for the WAL; without memory maps.
    made.xClose = Close;
    made.xRead = Read;
    made.xWrite = Write;
    made.xTruncate = Truncate;
    made.xSync = Sync;
    made.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return Below(f)->pMethods->xFileSize(Below(f), size);
    };
    made.xLock = [](sqlite3_file* f, int lock) {
      return Below(f)->pMethods->xLock(Below(f), lock);
    };
    made.xUnlock = [](sqlite3_file* f, int lock) {
      return Below(f)->pMethods->xUnlock(Below(f), lock);
    };
    made.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return Below(f)->pMethods->xCheckReservedLock(Below(f), out);
    };
    made.xFileControl = [](sqlite3_file* f, int what, void* value) {
      return Below(f)->pMethods->xFileControl(Below(f), what, value);
    };
    made.xSectorSize = [](sqlite3_file* f) { return Below(f)->pMethods->xSectorSize(Below(f)); };
    made.xDeviceCharacteristics = [](sqlite3_file* f) {
      return Below(f)->pMethods->xDeviceCharacteristics(Below(f));
    };
    made.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return Below(f)->pMethods->xShmMap(Below(f), page, size, extend, out);
    };
    made.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return Below(f)->pMethods->xShmLock(Below(f), offset, n, flags);
    };
    made.xShmBarrier = [](sqlite3_file* f) { Below(f)->pMethods->xShmBarrier(Below(f)); };
    made.xShmUnmap = [](sqlite3_file* f, int remove) {
      return Below(f)->pMethods->xShmUnmap(Below(f), remove);
    };
    return made;
  }();
  return kMethods;
}

FaultyDisk::FaultyDisk() : below_(sqlite3_vfs_find(nullptr)), vfs_(*below_) {
  vfs_.zName = "faulty";
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(FaultyFile)) + below_->szOsFile;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  sqlite3_vfs_register(&vfs_, 1);
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(below_, 1);
}

void FaultyDisk::SetFault(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_ = 0;
  refused_ = 0;
}

void FaultyDisk::ClearFault() { SetFault({}); }

int64_t FaultyDisk::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

void FaultyDisk::CutPowerAfter(int64_t calls) {
  const std::lock_guard lock(mutex_);
  calls_until_cut_ = calls;
}

bool FaultyDisk::power_is_cut() const {
  const std::lock_guard lock(mutex_);
  return cut_;
}

void FaultyDisk::IgnoreSyncs() {
  const std::lock_guard lock(mutex_);
  ignore_syncs_ = true;
}

bool FaultyDisk::Refuse(Call call, int& code) {
  code = SQLITE_IOERR;
  if (cut_) return true;
  if (call != fault_.call || fault_.first == 0) return false;
  ++calls_;
  code = fault_.code;
  const bool refused = calls_ >= fault_.first && calls_ - fault_.first <= fault_.more;
  if (refused) ++refused_;
  return refused;
}

bool FaultyDisk::TakePower() {
  if (calls_until_cut_ > 0 && --calls_until_cut_ == 0) cut_ = true;
  return cut_;
}

void FaultyDisk::NoteOpen(const std::string& path) {
  const bool exists = std::filesystem::exists(path);
  const auto known = files_.find(path);
  if (known != files_.end() && exists && !known->second.removed) return;
  File file;
  file.durable_exists = exists;
  if (exists) file.durable = ReadWhole(path);
  files_[path] = std::move(file);
}

void FaultyDisk::NoteSync(const std::string& path) {
  if (ignore_syncs_) return;
  File& file = files_[path];
  for (const Change& change : file.changes) {
    if (change.truncate) {
      file.durable.resize(static_cast<size_t>(change.offset));
    } else {
      Put(file.durable, change.offset, change.bytes);
    }
  }
  file.changes.clear();
  file.durable_exists = true;
}

std::string FaultyDisk::Survivor(const File& file, std::mt19937_64& random) {
  // All of it, none of it, or any part.
  const double likely =
      std::clamp(std::uniform_real_distribution<double>(-0.5, 1.5)(random), 0.0, 1.0);
  std::bernoulli_distribution arrived(likely);
  std::string content = file.durable;
  for (const Change& change : file.changes) {
    if (change.truncate) {
      if (arrived(random)) content.resize(static_cast<size_t>(change.offset));
      continue;
    }
    std::string_view rest = change.bytes;
    int64_t offset = change.offset;
    while (!rest.empty()) {
      const auto left = static_cast<size_t>(kSectorBytes - offset % kSectorBytes);
      const std::string_view sector = rest.substr(0, left);
      if (arrived(random)) Put(content, offset, sector);
      offset += static_cast<int64_t>(sector.size());
      rest.remove_prefix(sector.size());
    }
  }
  return content;
}

void FaultyDisk::RestorePower(std::mt19937_64& random) {
  const std::lock_guard lock(mutex_);
  std::bernoulli_distribution coin;
  for (const auto& [path, file] : files_) {
    // Renamed by the store, which makes that durable itself.
    if (!std::filesystem::exists(path) && !file.removed) continue;
    const std::string content = Survivor(file, random);
    const bool created = file.durable_exists || !content.empty() || coin(random);
    if (created && (!file.removed || coin(random))) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    } else {
      std::filesystem::remove(path);
    }
    std::filesystem::remove(path + "-shm");
  }
  files_.clear();
  cut_ = false;
  calls_until_cut_ = -1;
}

int FaultyDisk::Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  FaultyDisk& disk = *static_cast<FaultyDisk*>(vfs->pAppData);
  if (name == nullptr || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0) {
    return disk.below_->xOpen(disk.below_, name, file, flags, out);
  }
  file->pMethods = nullptr;
  const std::lock_guard lock(disk.mutex_);
  int code = SQLITE_OK;
  if (disk.Refuse(Call::kOpen, code)) return code;
  disk.NoteOpen(name);
  code = disk.below_->xOpen(disk.below_, name, FaultyFile::Below(file), flags, out);
  if (code != SQLITE_OK) return code;
  auto* made = new (file) FaultyFile{.base = {}, .disk = &disk, .path = name};
  made->base.pMethods = &FaultyFile::Methods();
  return SQLITE_OK;
}

int FaultyDisk::Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  FaultyDisk& disk = *static_cast<FaultyDisk*>(vfs->pAppData);
  const std::lock_guard lock(disk.mutex_);
  if (disk.cut_ || disk.TakePower()) return SQLITE_IOERR_DELETE;
  const auto known = disk.files_.find(name);
  if (known != disk.files_.end()) {
    if (sync_directory != 0) {
      disk.files_.erase(known);
    } else {
      known->second.removed = true;
    }
  }
  return disk.below_->xDelete(disk.below_, name, sync_directory);
}

}  // namespace shadow
