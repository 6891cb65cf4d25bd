#include "client/formats/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
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
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/text.h"

namespace shadow {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestFilesMax = 1'000'000;  // The daemon's own limit.
constexpr std::size_t kReadAtOnceBytes = 1 << 18;

absl::Status ReadError(int error, const char* what, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", PrintableText(path)));
}

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    ok_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

  void Add(std::string_view bytes) {
    ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }

  absl::StatusOr<std::string> Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned length = 0;
    ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), bytes.data(), &length) == 1;
    if (!ok_) return absl::InternalError("OpenSSL cannot compute SHA-256");
    return absl::BytesToHexString(
        absl::string_view(reinterpret_cast<const char*>(bytes.data()), length));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool ok_ = false;
};

absl::StatusOr<std::string> DigestOfFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return ReadError(errno, "cannot open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  std::vector<char> chunk(kReadAtOnceBytes);
  Digest digest;
  while (true) {
    const ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadError(errno, "cannot read", path);
    if (got == 0) return digest.Hex();
    digest.Add({chunk.data(), static_cast<std::size_t>(got)});
  }
}

// Relative to `root`, sorted bytewise.
absl::StatusOr<std::vector<std::string>> FilesBelow(const fs::path& root) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(root, error);
  const std::size_t prefix = root.native().size() + (root.native().ends_with('/') ? 0 : 1);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::file_status status = entry->symlink_status(error);
    if (error) break;
    if (!fs::is_regular_file(status)) continue;
    if (files.size() == kDigestFilesMax) {
      return absl::FailedPreconditionError(
          absl::StrCat(PrintableText(root.native()), " has more than ", kDigestFilesMax, " files"));
    }
    files.push_back(entry->path().native().substr(prefix));
  }
  if (error) return ReadError(error.value(), "cannot list", root.native());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<std::string> DigestOfPath(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return ReadError(ENOENT, "cannot read", path);
  if (error) return ReadError(error.value(), "cannot read", path);
  if (fs::is_regular_file(status)) return DigestOfFile(path);
  if (!fs::is_directory(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat(PrintableText(path), " is neither a file nor a directory"));
  }
  const auto files = FilesBelow(path);
  if (!files.ok()) return files.status();
  Digest all;
  for (const std::string& file : *files) {
    const auto digest = DigestOfFile(absl::StrCat(path, "/", file));
    if (!digest.ok()) return digest.status();
    all.Add(absl::StrCat(*digest, "  ", file, "\n"));
  }
  return all.Hex();
}

}  // namespace shadow
