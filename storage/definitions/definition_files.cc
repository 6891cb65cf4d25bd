#include "storage/definitions/definition_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {
namespace {

constexpr std::string_view kFirstWords = "shadowd-definition 1 ";
constexpr size_t kChecksumDigits = 16;
constexpr size_t kHeaderBytes = kFirstWords.size() + kChecksumDigits + 1;
constexpr std::string_view kPoolSuffix = ".pool";
constexpr std::string_view kDnaSuffix = ".dna";
constexpr std::string_view kUnfinishedSuffix = ".part";
constexpr off_t kFileBytesMax = 1 << 20;  // Specs are smaller (server/core/spec).
// With more files than these, one call for the whole file system is quicker than one for each.
constexpr size_t kSyncedAloneMax = 4;

absl::Status FileError(int error, std::string_view what, std::string_view path) {
  return absl::ErrnoToStatus(error,
                             absl::StrCat("cannot ", std::string(what), " ", std::string(path)));
}

// "web" of "pools/web", "web@0123456789ab" of a revision. Empty: no name of ours, so it becomes no
// path.
std::string Stem(std::string_view name, std::string_view collection) {
  if (!name.starts_with(collection)) return "";
  name.remove_prefix(collection.size());
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '@';
  });
  return plain && name.size() < 200 ? std::string(name) : "";
}

std::string PoolFile(std::string_view pool_name) {
  const std::string stem = Stem(pool_name, "pools/");
  return stem.empty() ? "" : absl::StrCat(stem, std::string(kPoolSuffix));
}

std::string DnaFile(std::string_view revision_name) {
  const std::string stem = Stem(revision_name, "dnas/");
  return stem.empty() ? "" : absl::StrCat(stem, std::string(kDnaSuffix));
}

uint64_t Checksum(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3U;
  return hash;
}

std::string Header(std::string_view body) {
  return absl::StrFormat("%s%016x\n", std::string(kFirstWords), Checksum(body));
}

std::string Serialized(const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  return Header(body) + body;
}

// Unset: it is not there, or is none of ours.
absl::StatusOr<std::optional<std::string>> ReadAt(int directory, const std::string& name) {
  const int fd = openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ELOOP)) return std::nullopt;
  if (fd < 0) return FileError(errno, "open", name);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0) return FileError(errno, "read", name);
  if (!S_ISREG(info.st_mode) || info.st_size > kFileBytesMax) return std::nullopt;
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = read(fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", name);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

absl::Status WriteAt(int directory, const std::string& name, std::string_view bytes, bool sync) {
  const int fd =
      openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return FileError(errno, "write", name);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "write", name);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return sync && fsync(fd) != 0 ? FileError(errno, "sync", name) : absl::OkStatus();
}

absl::Status SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  return fsync(fd) == 0 ? absl::OkStatus() : FileError(errno, "sync", path);
}

// Makes it where it is missing. The caller closes it.
absl::StatusOr<int> OpenDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) {
    const std::string parent = path.substr(0, path.rfind('/'));
    if (absl::Status status = SyncPath(parent); !status.ok()) return status;
  } else if (errno != EEXIST) {
    return FileError(errno, "make", path);
  }
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  struct stat info {};
  if (fstat(fd, &info) == 0 && info.st_uid == geteuid()) return fd;
  close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat(path, " must be a directory that belongs to uid ", geteuid()));
}

absl::Status Remove(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError(errno, "remove", name);
}

// Under their other names.
absl::Status WriteUnfinished(int directory,
                             const std::vector<std::pair<std::string, std::string>>& files) {
  const bool sync_each = files.size() <= kSyncedAloneMax;
  for (const auto& [name, bytes] : files) {
    absl::Status status =
        WriteAt(directory, absl::StrCat(name, std::string(kUnfinishedSuffix)), bytes, sync_each);
    if (!status.ok()) return status;
  }
  if (!sync_each && syncfs(directory) != 0) return FileError(errno, "sync", "the definitions");
  return absl::OkStatus();
}

// Removals come first: a pool that is gone may have had what another one has now.
absl::Status Change(int directory, const std::vector<std::string>& gone,
                    const std::vector<std::pair<std::string, std::string>>& files) {
  absl::Status status = WriteUnfinished(directory, files);
  for (size_t i = 0; status.ok() && i < gone.size(); ++i) status = Remove(directory, gone[i]);
  for (const auto& [name, bytes] : files) {
    const std::string unfinished = absl::StrCat(name, std::string(kUnfinishedSuffix));
    if (status.ok() && renameat(directory, unfinished.c_str(), directory, name.c_str()) != 0) {
      status = FileError(errno, "rename", unfinished);
    }
    if (!status.ok()) Remove(directory, unfinished).IgnoreError();
  }
  if (status.ok() && fsync(directory) != 0) status = FileError(errno, "sync", "the definitions");
  return status;
}

bool IsDefinition(std::string_view file_name) {
  return file_name.ends_with(kPoolSuffix) || file_name.ends_with(kDnaSuffix);
}

}  // namespace

absl::StatusOr<v1::Definitions> ParseDefinition(std::string_view file_name,
                                                std::string_view bytes) {
  const auto damaged = [&file_name](std::string_view why) {
    return absl::DataLossError(absl::StrCat(std::string(file_name), " ", std::string(why)));
  };
  if (bytes.size() < kHeaderBytes) return damaged("is too short");
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (bytes.substr(0, kHeaderBytes) != Header(body)) return damaged("has another checksum");
  v1::Definitions definitions;
  const std::string text(body);
  std::string wanted_name;
  if (file_name.ends_with(kPoolSuffix)) {
    v1::Pool& pool = *definitions.add_pools();
    if (!pool.ParseFromString(text)) return damaged("holds no pool");
    wanted_name = PoolFile(pool.name());
  } else {
    v1::Dna& dna = *definitions.add_dnas();
    if (!dna.ParseFromString(text)) return damaged("holds no DNA");
    wanted_name = DnaFile(absl::StrCat(dna.name(), "@", dna.revision()));
  }
  if (wanted_name != file_name) return damaged("is the definition of another resource");
  return definitions;
}

void DefinitionFiles::AddDna(const v1::Dna& dna) {
  const std::string file = DnaFile(absl::StrCat(dna.name(), "@", dna.revision()));
  if (!file.empty()) noted_[file] = Serialized(dna);
}

void DefinitionFiles::AddPool(const v1::Pool& spec) {
  const std::string file = PoolFile(spec.name());
  if (!file.empty()) noted_[file] = Serialized(spec);
}

void DefinitionFiles::Add(const v1::WriteBatch& batch) {
  for (const v1::DnaRecord& record : batch.put_dnas()) AddDna(record.dna());
  for (const v1::Pool& spec : batch.put_specs()) AddPool(spec);
  for (const std::string& name : batch.erase()) {
    for (const std::string& file : {PoolFile(name), DnaFile(name)}) {
      if (!file.empty()) noted_[file] = std::nullopt;
    }
  }
}

absl::Status DefinitionFiles::Write() {
  if (noted_.empty()) return absl::OkStatus();
  const absl::StatusOr<int> directory = OpenDirectory(directory_);
  if (!directory.ok()) return directory.status();
  const absl::Cleanup close_directory = [&directory] { close(*directory); };
  std::vector<std::string> gone;
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& [name, bytes] : noted_) {
    if (!bytes.has_value()) {
      gone.push_back(name);
      continue;
    }
    const auto there = ReadAt(*directory, name);
    if (!there.ok()) return there.status();
    if (*there != *bytes) files.emplace_back(name, *bytes);
  }
  absl::Status status = Change(*directory, gone, files);
  if (status.ok()) noted_.clear();
  return status;
}

absl::Status DefinitionFiles::Replace(const v1::Definitions& definitions) {
  const auto names = Names();
  if (!names.ok()) return names.status();
  noted_.clear();
  for (const std::string& name : *names) noted_[name] = std::nullopt;
  for (const v1::Dna& dna : definitions.dnas()) AddDna(dna);
  for (const v1::Pool& spec : definitions.pools()) AddPool(spec);
  return Write();
}

absl::StatusOr<std::vector<std::string>> DefinitionFiles::Names() const {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator at(directory_, error);
  if (error == std::errc::no_such_file_or_directory) return names;
  for (const std::filesystem::directory_iterator end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (IsDefinition(name)) names.push_back(std::move(name));
  }
  if (error) return FileError(error.value(), "list", directory_);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<DefinitionFiles::Kept> DefinitionFiles::Read() const {
  Kept kept;
  const auto names = Names();
  if (!names.ok()) return names.status();
  if (names->empty()) return kept;
  const absl::StatusOr<int> directory = OpenDirectory(directory_);
  if (!directory.ok()) return directory.status();
  const absl::Cleanup close_directory = [&directory] { close(*directory); };
  for (const std::string& name : *names) {
    const auto bytes = ReadAt(*directory, name);
    if (!bytes.ok()) return bytes.status();
    const auto parsed = ParseDefinition(name, bytes->has_value() ? **bytes : std::string());
    if (parsed.ok()) {
      kept.definitions.MergeFrom(*parsed);
    } else {
      kept.damaged.emplace_back(parsed.status().message());
    }
  }
  return kept;
}

}  // namespace shadow
