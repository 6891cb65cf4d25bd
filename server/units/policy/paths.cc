#include "server/units/policy/paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"
#include "server/core/text.h"

namespace shadow {
namespace {

class PathHandle {
 public:
  explicit PathHandle(int fd) : fd_(fd) {}
  PathHandle(PathHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  PathHandle& operator=(PathHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~PathHandle() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

absl::Status Refused(std::string_view field, std::string_view path, std::string_view why) {
  return FieldError(field, absl::StrCat(Quoted(path), " ", Absl(why)),
                    absl::StatusCode::kFailedPrecondition);
}

// Whether root alone can change what this is: entries of a folder, bytes of a file. A sticky bit
// does not help: whoever may write the folder can put a name there.
bool RootsAlone(const struct stat& status) {
  return status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool IsKind(const struct stat& status, PathKind kind) {
  switch (kind) {
    case PathKind::kDirectory:
      return S_ISDIR(status.st_mode);
    case PathKind::kFile:
      return S_ISREG(status.st_mode);
    case PathKind::kEither:
      return S_ISDIR(status.st_mode) || S_ISREG(status.st_mode);
  }
  return false;
}

// The end of a path, opened part by part.
absl::Status CheckEnd(std::string_view field, std::string_view path, const struct stat& status,
                      PathKind kind, PathOwner owner) {
  if (!IsKind(status, kind)) {
    return Refused(field, path,
                   kind == PathKind::kDirectory ? "is not a directory"
                   : kind == PathKind::kFile    ? "is not a regular file"
                                                : "is neither a directory nor a regular file");
  }
  if (owner == PathOwner::kRoot && !RootsAlone(status)) {
    return Refused(field, path, "can be written by others than root");
  }
  return absl::OkStatus();
}

// The way down a path, until its end or until nothing is there.
struct Walk {
  absl::Status status;   // Of the whole path.
  bool missing = false;  // Nothing is there, in a folder that root alone can change.
  struct stat end {};    // If OK.
};

Walk WalkDown(std::string_view field, const std::string& path) {
  const auto refused = [&](const std::string& why) {
    return Walk{.status = Refused(field, path, why), .missing = false, .end = {}};
  };
  if (!path.starts_with('/')) return refused("is not an absolute path");
  PathHandle at(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Walk walk;
  for (size_t begin = 1; begin < path.size();) {
    if (fstat(at.fd(), &walk.end) != 0 || !RootsAlone(walk.end)) {
      const std::string folder = path.substr(0, std::max<size_t>(begin - 1, 1));
      return refused(absl::StrCat("lies in ", Quoted(folder), ", which others can change"));
    }
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || end + 1 == path.size()) {
      return refused("is not a clean path");
    }
    PathHandle next(openat(at.fd(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (next.fd() < 0) {
      walk.missing = errno == ENOENT;
      const absl::Status why = absl::ErrnoToStatus(errno, "cannot be opened");
      walk.status = FieldError(field, absl::StrCat(Quoted(path), " ", why.message()),
                               absl::StatusCode::kFailedPrecondition);
      return walk;
    }
    at = std::move(next);
    if (fstat(at.fd(), &walk.end) != 0) return refused("cannot be looked at");
    if (S_ISLNK(walk.end.st_mode)) return refused("has a symbolic link on its way");
    begin = end + 1;
  }
  if (fstat(at.fd(), &walk.end) != 0) return refused("cannot be looked at");
  return walk;
}

// In an image, nothing of the host is made.
absl::Status CheckPlace(const std::string& field, const v1::OperatingSystem& os,
                        const v1::DataSet& data) {
  if (!os.image().empty()) return absl::OkStatus();
  const bool at_source = data.mount_path().empty() || data.mount_path() == data.source();
  if (at_source && os.root_directory().empty()) return absl::OkStatus();  // It is there.
  return CheckMountPoint(field + ".mount_path", os.root_directory(),
                         at_source ? data.source() : data.mount_path());
}

}  // namespace

bool IsBelow(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

absl::Status CheckTrustedPath(std::string_view field, const std::string& path, PathKind kind,
                              PathOwner owner) {
  const Walk walk = WalkDown(field, path);
  if (!walk.status.ok()) return walk.status;
  return CheckEnd(field, path, walk.end, kind, owner);
}

absl::Status CheckMountPoint(std::string_view field, const std::string& root,
                             const std::string& path) {
  const Walk walk = WalkDown(field, root + path);
  return walk.missing ? absl::OkStatus() : walk.status;
}

absl::Status CheckTrustedPaths(const v1::Dna& dna) {
  const auto& os = dna.operating_system();
  absl::Status status;
  if (!os.root_directory().empty()) {
    status = CheckTrustedPath("dna.operating_system.root_directory", os.root_directory(),
                              PathKind::kDirectory, PathOwner::kRoot);
  }
  if (status.ok() && !os.image().empty()) {
    status = CheckTrustedPath("dna.operating_system.image", os.image(), PathKind::kFile,
                              PathOwner::kRoot);
  }
  for (int i = 0; status.ok() && i < dna.data_sets_size(); ++i) {
    status = CheckTrustedPath(absl::StrCat("dna.data_sets[", i, "].source"),
                              dna.data_sets(i).source(), PathKind::kEither, PathOwner::kAnyone);
    if (status.ok())
      status = CheckPlace(absl::StrCat("dna.data_sets[", i, "]"), os, dna.data_sets(i));
  }
  const auto& secrets = dna.security().secrets();
  for (int i = 0; status.ok() && i < secrets.size(); ++i) {
    status = CheckTrustedPath(absl::StrCat("dna.security.secrets[", i, "].source_file"),
                              secrets[i].source_file(), PathKind::kFile, PathOwner::kAnyone);
  }
  return status;
}

}  // namespace shadow
