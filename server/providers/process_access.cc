#include "server/providers/process_access.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr int kMaxEntries = 100'000;

// With any of these a process gets at every file, or at a process that does.
constexpr const char* kAboveModes[] = {
    "CAP_DAC_OVERRIDE", "CAP_FOWNER",     "CAP_CHOWN",     "CAP_SETUID",    "CAP_SETGID",
    "CAP_SYS_PTRACE",   "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN", "CAP_MKNOD",
    "CAP_SETFCAP",      "CAP_BPF",        "CAP_SYS_BOOT",  "CAP_SYS_CHROOT"};
constexpr const char* kAboveMounts[] = {"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
                                        "CAP_SYS_PTRACE", "CAP_MKNOD"};

template <size_t n>
bool HasAny(CapabilityMask mask, const char* const (&names)[n]) {
  return std::any_of(std::begin(names), std::end(names), [mask](const char* name) {
    const std::optional<int> number = CapabilityNumber(name);
    return number.has_value() && (mask >> *number & 1) != 0;
  });
}

// Of the system, which says nothing of the file then.
bool IsWant(int error) {
  return error == ENOMEM || error == EMFILE || error == ENFILE || error == EAGAIN ||
         error == EINTR || error == EIO;
}

class Check {
 public:
  explicit Check(const Writer& writer)
      : writer_(writer),
        above_modes_(HasAny(writer.capabilities, kAboveModes)),
        above_mounts_(HasAny(writer.capabilities, kAboveMounts)) {}

  absl::StatusOr<bool> Run(const std::string& path) {
    auto writable = Look(path);
    return unread_.ok() ? writable : unread_;
  }

 private:
  absl::StatusOr<bool> Look(const std::string& path) {
    bool reachable = true;
    const auto above = CanReplace(path, reachable);
    if (!above.ok() || *above) return above;
    if (!reachable) return false;
    return CanWriteTree(path);
  }

  void NoteWant(const std::string& path) {
    if (IsWant(errno)) unread_ = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }

  bool OnReadOnlyMount(const std::string& path) {
    struct statvfs info {};
    if (statvfs(path.c_str(), &info) == 0) return (info.f_flag & ST_RDONLY) != 0;
    NoteWant(path);
    return false;
  }

  bool HasAcl(const std::string& path) {
    const ssize_t bytes = lgetxattr(path.c_str(), "system.posix_acl_access", nullptr, 0);
    if (bytes < 0) NoteWant(path);
    return bytes > 0;
  }

  // The permission bits (of 7) that the writer has on it by its modes.
  unsigned Bits(const struct stat& info, const std::string& path) {
    const unsigned mode = info.st_mode;
    if (HasAcl(path)) return (mode >> 3 | mode) & 7;  // The group's bits are the ACL's mask.
    if (info.st_uid == writer_.uid) return mode >> 6 & 7;
    const auto& groups = writer_.groups;
    const bool in_group = std::find(groups.begin(), groups.end(), info.st_gid) != groups.end();
    return (in_group ? mode >> 3 : mode) & 7;
  }

  // Can change the file itself, or the entries of the directory itself.
  bool CanChange(const struct stat& info, const std::string& path) {
    if (S_ISLNK(info.st_mode)) return false;  // Cannot be written, only replaced.
    const bool permitted =
        above_modes_ || info.st_uid == writer_.uid || (Bits(info, path) & 2) != 0;
    return permitted && (above_mounts_ || !OnReadOnlyMount(path));
  }

  bool CanSearch(const struct stat& info, const std::string& path) {
    return above_modes_ || info.st_uid == writer_.uid || (Bits(info, path) & 1) != 0;
  }

  // Can put something else in the place of `path`, by any directory above it. `reachable` = false:
  // a directory above cannot be searched, or there is nothing at `path`.
  absl::StatusOr<bool> CanReplace(const std::string& path, bool& reachable) {
    const std::filesystem::path whole(path);
    std::filesystem::path directory = "/";
    for (const auto& part : whole.relative_path()) {
      if (part.empty()) break;  // A slash at the end.
      const std::filesystem::path child = directory / part;
      struct stat parent {};
      struct stat info {};
      if (stat(directory.c_str(), &parent) != 0) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", directory.string()));
      }
      const bool there = lstat(child.c_str(), &info) == 0;
      if (!there && errno != ENOENT && errno != ENOTDIR) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", child.string()));
      }
      const bool sticky = (parent.st_mode & S_ISVTX) != 0;
      const bool guarded = sticky && there && !above_modes_ && parent.st_uid != writer_.uid &&
                           info.st_uid != writer_.uid;
      if (!guarded && CanChange(parent, directory)) return true;
      reachable = there && CanSearch(parent, directory);
      if (!reachable) return false;
      directory = child;
    }
    return false;
  }

  absl::StatusOr<bool> CanWriteTree(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) return false;
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    }
    if (CanChange(info, path)) return true;
    if (!S_ISDIR(info.st_mode) || !CanSearch(info, path)) return false;
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      if (++entries_ > kMaxEntries) {
        return absl::FailedPreconditionError(
            absl::StrCat("it has more than ", kMaxEntries, " entries; too many to check"));
      }
      const auto below = CanWriteEntry(entry->path());
      if (!below.ok() || *below) return below;
    }
    if (!error) return false;
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot list ", path));
  }

  absl::StatusOr<bool> CanWriteEntry(const std::string& path) {
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) return false;
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    }
    if (S_ISDIR(info.st_mode)) return CanWriteTree(path);
    return CanChange(info, path);
  }

  const Writer& writer_;
  const bool above_modes_;
  const bool above_mounts_;
  int entries_ = 0;
  absl::Status unread_;  // The last look that was not answered.
};

}  // namespace

absl::StatusOr<bool> CanWrite(const Writer& writer, const std::string& path) {
  Check check(writer);
  const auto as_named = check.Run(path);
  if (!as_named.ok() || *as_named) return as_named;
  // What the links on the way lead to has directories of its own above it.
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (!real && IsWant(errno)) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (!real || path == real.get()) return false;
  return check.Run(real.get());
}

}  // namespace shadow
