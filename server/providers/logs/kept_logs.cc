#include "server/providers/logs/kept_logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/providers/logs/log_piece.h"
#include "server/providers/process_log.h"

namespace shadow {
namespace {

constexpr std::string_view kEndedSuffix = ".ended";

// One that is kept. The newest is the least.
struct KeptLog {
  int64_t time_ns = 0;  // When it was moved here.
  std::string group;    // "POOL.SHADOW."
  std::string id;

  bool operator<(const KeptLog& other) const {
    return time_ns != other.time_ns ? time_ns > other.time_ns
                                    : InstanceNumber(id) > InstanceNumber(other.id);
  }
};

std::string GroupOf(const InstanceSpec& instance) {
  return absl::StrCat(instance.pool, ".", instance.shadow, ".");
}

// Newest first; one that is removed meanwhile may be missing. Only plain files: no other is ours.
std::vector<KeptLog> ListKept(const std::string& directory) {
  std::vector<KeptLog> kept;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return kept;
  while (const dirent* entry = readdir(listing)) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(kEndedSuffix)) continue;
    name.remove_suffix(kEndedSuffix.size());
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || !IsId(name.substr(dot + 1))) continue;
    struct stat info {};
    if (fstatat(dirfd(listing), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(info.st_mode)) continue;
    kept.push_back({.time_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
                    .group = std::string(name.substr(0, dot + 1)),
                    .id = std::string(name.substr(dot + 1))});
  }
  closedir(listing);
  std::sort(kept.begin(), kept.end());
  return kept;
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
}

}  // namespace

std::string KeptLogs::PathOf(std::string_view group, std::string_view id) const {
  return absl::StrCat(directory_, "/", std::string(group), std::string(id),
                      std::string(kEndedSuffix));
}

absl::Status KeptLogs::Keep(const InstanceSpec& instance, const std::string& log_path) const {
  struct stat info {};
  const bool plain = lstat(log_path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
  if (!plain || !IsId(instance.pool)) return RemoveFile(log_path);
  const std::string path = PathOf(GroupOf(instance), instance.id);
  if (rename(log_path.c_str(), path.c_str()) != 0) return RemoveFile(log_path);
  utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);  // It was moved now.
  std::map<std::string, int> of_group;
  int of_all = 0;
  for (const KeptLog& log : ListKept(directory_)) {
    if (++of_group[log.group] <= kOfGroup && ++of_all <= kOfAll) continue;
    RemoveFile(PathOf(log.group, log.id)).IgnoreError();  // The next one tries again.
  }
  return absl::OkStatus();
}

absl::StatusOr<LogPiece> KeptLogs::Read(const InstanceSpec& instance,
                                        const LogRequest& request) const {
  const std::string group = GroupOf(instance);
  std::string id = instance.id;
  if (request.previous) {
    const std::vector<KeptLog> kept = ListKept(directory_);
    const auto last = std::find_if(kept.begin(), kept.end(),
                                   [&](const KeptLog& log) { return log.group == group; });
    if (last == kept.end()) {
      return absl::NotFoundError("no log is kept of an instance that has ended");
    }
    id = last->id;
  }
  auto piece = ReadLogPiece(PathOf(group, id), request);
  if (absl::IsNotFound(piece.status())) return absl::NotFoundError("its log is not kept any more");
  if (!piece.ok()) return piece;
  piece->id = id;
  piece->ended = true;
  return piece;
}

absl::StatusOr<LogPiece> ReadPresentOrKept(const std::string& log_path, const KeptLogs& kept,
                                           const InstanceSpec& instance,
                                           const LogRequest& request) {
  if (request.previous) return kept.Read(instance, request);
  auto piece = ReadLogPiece(log_path, request);
  if (absl::IsNotFound(piece.status())) return kept.Read(instance, request);
  if (piece.ok()) piece->id = instance.id;
  return piece;
}

void CapLogOf(const ProcessRecord& record, const std::string& path, int64_t max_bytes,
              std::mutex& mutex) {
  if (record.holder.has_value()) return;
  const std::lock_guard lock(mutex);
  CapLog(path, max_bytes).IgnoreError();
}

InstanceSpec EndedSpec(const ProcessRecord& record) {
  return {.id = record.id,
          .name = record.name,
          .pool = record.pool,
          .shadow = record.shadow,
          .dna = nullptr};
}

}  // namespace shadow
