#include "storage/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/state_identity.h"
#include "storage/tar.h"

namespace shadow {
namespace {

using storage::Connection;
using storage::Statement;

struct Part {
  const char* name;
  const storage::Schema& (*schema)();
};
// In this order: a store whose samples are newer than the rest is what a crash leaves too.
constexpr Part kParts[] = {{"state.db", storage::StateSchema},
                           {"metrics.db", storage::MetricsSchema}};

constexpr char kRestoredSuffix[] = ".restored";  // Until all is there and good.
constexpr size_t kPieceBytes = 1 << 20;

absl::Status FileFailed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// 0: it is not there.
absl::StatusOr<int64_t> SizeOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) return info.st_size;
  return errno == ENOENT ? absl::StatusOr<int64_t>(0) : FileFailed("read the size of", path);
}

absl::Status CheckRoom(const std::string& directory) {
  int64_t wanted_bytes = Backup::kFreeBytesMin;
  for (const Part& part : kParts) {
    const std::string path = absl::StrCat(directory, "/", part.name);
    for (const char* suffix : {"", "-wal"}) {
      const absl::StatusOr<int64_t> size_bytes = SizeOf(path + suffix);
      if (!size_bytes.ok()) return size_bytes.status();
      wanted_bytes += *size_bytes;
    }
  }
  struct statvfs room {};
  if (statvfs(directory.c_str(), &room) != 0)
    return FileFailed("read the free space of", directory);
  const auto free_bytes = static_cast<int64_t>(room.f_bavail * room.f_frsize);
  if (free_bytes >= wanted_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the copy needs ", wanted_bytes,
                                                   " free bytes below ", directory, ", there are ",
                                                   free_bytes));
}

// The copy of `path`, without a name, open for reading.
absl::StatusOr<int> CopyDatabase(const std::string& path, const std::function<bool()>& cancelled) {
  const std::string copy = absl::StrCat(path, storage::kCopySuffix);
  const std::string journal = copy + "-journal";
  for (const std::string& old : {journal, copy}) {
    if (unlink(old.c_str()) != 0 && errno != ENOENT) return FileFailed("remove the old", old);
  }
  const absl::Cleanup remove = [&] {
    unlink(journal.c_str());  // Stays where it could not be read back.
    unlink(copy.c_str());
  };
  const auto database = Connection::Open(path, Connection::Access::kReadOnly);
  if (!database.ok()) return database.status();
  (*database)->StopWhen(cancelled);
  auto vacuum = (*database)->Prepare("VACUUM INTO ?1");
  if (!vacuum.ok()) return vacuum.status();
  vacuum->BindText(1, copy);
  const absl::Status copied = vacuum->Run();
  if (cancelled()) return absl::CancelledError("the backup was given up");
  if (!copied.ok()) return copied;
  const int fd = open(copy.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileFailed("open", copy);
  return fd;
}

// Reads just `size` bytes at the place where `fd` stands.
absl::StatusOr<std::string> ReadExactly(int fd, size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got = read(fd, bytes.data() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot read the backup");
    if (got == 0) return absl::DataLossError("the file is cut short");
    have += static_cast<size_t>(got);
  }
  return bytes;
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return FileFailed("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// The next file of the archive that `from` reads, into `path`.
absl::Status Extract(int from, const char* name, const std::string& path) {
  const auto block = ReadExactly(from, storage::kTarBlockBytes);
  if (!block.ok()) return block.status();
  const auto entry = storage::ParseTarHeader(*block);
  if (!entry.ok()) return entry.status();
  if (entry->name != name) {
    return absl::DataLossError(absl::StrCat("wanted ", name, " in it, found another file"));
  }
  const int to = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (to < 0) return FileFailed("create", path);
  const absl::Cleanup close_to = [to] { close(to); };
  for (int64_t left = entry->bytes; left > 0;) {
    const auto piece = ReadExactly(from, static_cast<size_t>(std::min<int64_t>(left, kPieceBytes)));
    if (!piece.ok()) return piece.status();
    if (absl::Status written = WriteAll(to, *piece, path); !written.ok()) return written;
    left -= static_cast<int64_t>(piece->size());
  }
  if (fsync(to) != 0) return FileFailed("write", path);
  return ReadExactly(from, storage::TarPaddingBytes(entry->bytes)).status();
}

absl::Status ExtractAll(int from, const std::string& directory) {
  for (const Part& part : kParts) {
    const std::string path = absl::StrCat(directory, "/", part.name, kRestoredSuffix);
    absl::Status status = Extract(from, part.name, path);
    if (status.ok()) status = storage::CheckDatabase(path, part.schema());
    if (status.ok() && &part == &kParts[0]) status = storage::ForgetIdentity(path);
    if (!status.ok()) return status;
  }
  const auto end = ReadExactly(from, storage::kTarEndBytes);
  if (!end.ok()) return end.status();
  if (*end == std::string(storage::kTarEndBytes, '\0')) return absl::OkStatus();
  return absl::DataLossError("wanted the end of the archive, found more");
}

absl::Status CheckNoStore(const std::string& directory) {
  for (const Part& part : kParts) {
    for (const char* suffix : {"", "-wal"}) {
      const std::string path = absl::StrCat(directory, "/", part.name, suffix);
      const absl::StatusOr<bool> is_there = storage::IsThere(path);
      if (!is_there.ok()) return is_there.status();
      if (*is_there) {
        return absl::FailedPreconditionError(absl::StrCat(
            path, " is there already; move the old store away before a backup is restored"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileFailed("open", directory);
  const absl::Cleanup close_directory = [fd] { close(fd); };
  return fsync(fd) == 0 ? absl::OkStatus() : FileFailed("write", directory);
}

// Both or none. The samples first: a registry without its samples would be believed.
absl::Status NameAll(const std::string& directory) {
  std::vector<std::string> named;
  absl::Status status;
  for (const Part* part : {&kParts[1], &kParts[0]}) {
    const std::string path = absl::StrCat(directory, "/", part->name);
    if (rename((path + kRestoredSuffix).c_str(), path.c_str()) != 0) {
      status = FileFailed("name", path);
      break;
    }
    named.push_back(path);
  }
  if (status.ok()) status = SyncDirectory(directory);
  if (status.ok()) return status;
  std::reverse(named.begin(), named.end());
  for (const std::string& path : named) rename(path.c_str(), (path + kRestoredSuffix).c_str());
  return status;
}

void RemoveRestored(const std::string& directory) {
  for (const Part& part : kParts) {
    // A journal that stayed would be played back into the next file of this name.
    for (const char* suffix : {"-journal", "-wal", "-shm", ""}) {
      unlink(absl::StrCat(directory, "/", part.name, kRestoredSuffix, suffix).c_str());
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backup>> Backup::Make(const std::string& directory,
                                                     const std::function<bool()>& cancelled) {
  if (absl::Status room = CheckRoom(directory); !room.ok()) return room;
  std::unique_ptr<Backup> backup(new Backup);
  for (size_t i = 0; i < backup->files_.size(); ++i) {
    File& file = backup->files_[i];
    const auto fd = CopyDatabase(absl::StrCat(directory, "/", kParts[i].name), cancelled);
    if (!fd.ok()) return fd.status();
    file.fd = *fd;
    struct stat info {};
    if (fstat(file.fd, &info) != 0) return FileFailed("read", kParts[i].name);
    file.bytes = info.st_size;
    file.header = storage::TarHeader({.name = kParts[i].name, .bytes = file.bytes});
  }
  return backup;
}

Backup::~Backup() {
  for (const File& file : files_) {
    if (file.fd >= 0) close(file.fd);
  }
}

absl::StatusOr<std::string> Backup::Read(size_t bytes_max) {
  std::string piece;
  while (piece.empty() && file_ < files_.size()) {
    const File& file = files_[file_];
    const auto header_bytes = static_cast<int64_t>(file.header.size());
    const int64_t at = offset_ - header_bytes;
    if (at < 0) {
      piece = file.header.substr(static_cast<size_t>(offset_), bytes_max);
    } else if (at < file.bytes) {
      piece.resize(std::min(bytes_max, static_cast<size_t>(file.bytes - at)));
      const ssize_t got = pread(file.fd, piece.data(), piece.size(), at);
      if (got <= 0) return absl::ErrnoToStatus(got < 0 ? errno : EIO, "cannot read the copy");
      piece.resize(static_cast<size_t>(got));
    } else {
      size_t rest = storage::TarPaddingBytes(file.bytes);
      if (file_ + 1 == files_.size()) rest += storage::kTarEndBytes;
      piece.assign(rest, '\0');
      ++file_;
      offset_ = 0;
      continue;
    }
    offset_ += static_cast<int64_t>(piece.size());
  }
  return piece;
}

absl::Status RestoreBackup(const std::string& path, const std::string& directory) {
  if (absl::Status free = CheckNoStore(directory); !free.ok()) return free;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileFailed("read", path);
  const absl::Cleanup close_file = [fd] { close(fd); };
  RemoveRestored(directory);  // What an attempt before was killed over.
  absl::Status status = ExtractAll(fd, directory);
  if (status.ok()) status = NameAll(directory);
  RemoveRestored(directory);
  if (status.ok()) return status;
  // Our own statements do not fail at a store of ours: what SQLite cannot make sense of is damage.
  const absl::StatusCode code =
      absl::IsInternal(status) ? absl::StatusCode::kDataLoss : status.code();
  return absl::Status(code, absl::StrCat("backup ", path, ": ", std::string(status.message())));
}

}  // namespace shadow
