#include "server/providers/facts/data_set_digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr size_t kMaxFiles = 1'000'000;
constexpr size_t kChunkBytes = 1 << 18;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    ok_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

  void Add(std::string_view bytes) {
    ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }

  absl::StatusOr<std::string> Hex() {
    std::array<char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                    &length) == 1;
    if (!ok_) return absl::InternalError("OpenSSL cannot compute SHA-256");
    return absl::BytesToHexString(absl::string_view(digest.data(), length));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool ok_ = false;
};

absl::StatusOr<std::string> FileDigest(const std::string& path, std::vector<char>& chunk,
                                       const std::stop_token& stop) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  Sha256 digest;
  while (!stop.stop_requested()) {
    const ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) return digest.Hex();
    digest.Add({chunk.data(), static_cast<size_t>(got)});
  }
  return absl::CancelledError("stopped");
}

// Paths of the regular files below `root`, relative to it, sorted bytewise.
absl::StatusOr<std::vector<std::string>> RegularFiles(const std::string& root) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(root, error);
  const size_t prefix = root.size() + (root.ends_with('/') ? 0 : 1);
  for (; !error && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(error)) {
    const std::string& path = entry->path().native();
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    }
    if (!S_ISREG(info.st_mode)) continue;
    if (files.size() == kMaxFiles) {
      return absl::FailedPreconditionError(
          absl::StrCat(root, " has more than ", kMaxFiles, " files"));
    }
    files.push_back(path.substr(prefix));
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot list ", root));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<std::string> DataSetDigest(const std::string& path, const std::stop_token& stop) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  std::vector<char> chunk(kChunkBytes);
  if (S_ISREG(info.st_mode)) return FileDigest(path, chunk, stop);
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is neither a file nor a directory"));
  }
  const auto files = RegularFiles(path);
  if (!files.ok()) return files.status();
  Sha256 all;
  for (const std::string& file : *files) {
    const auto digest = FileDigest(absl::StrCat(path, "/", file), chunk, stop);
    if (!digest.ok()) return digest.status();
    all.Add(absl::StrCat(*digest, "  ", file, "\n"));
  }
  return all.Hex();
}

}  // namespace shadow
