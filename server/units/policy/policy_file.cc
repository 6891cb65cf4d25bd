// ReadUnitsPolicy (policy.h).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "server/units/policy/paths.h"
#include "server/units/policy/policy.h"

namespace shadow {
namespace {

constexpr size_t kPolicyMaxBytes = 256 * 1024;

// Keeps the first error, with its place.
class FirstPolicyError final : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstPolicyError(const std::string& path) : path_(path) {}
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(path_, ":", line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  const std::string& path_;
  std::string text_;
};

absl::StatusOr<std::string> ReadAllOf(int fd, const std::string& path) {
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() <= kPolicyMaxBytes) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": has more than ", kPolicyMaxBytes, " bytes"));
}

// The bytes of the file that was looked at, and of no other.
absl::StatusOr<std::string> ReadTrusted(const std::string& path) {
  absl::Status trusted = CheckTrustedPath("policy", path, PathKind::kFile, PathOwner::kRoot);
  if (!trusted.ok()) return trusted;
  const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  struct stat status {};
  absl::StatusOr<std::string> text;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0 ||
      (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    text = absl::PermissionDeniedError(absl::StrCat(path, ": can be written by others than root"));
  } else {
    text = ReadAllOf(fd, path);
  }
  close(fd);
  return text;
}

}  // namespace

absl::StatusOr<v1::UnitsPolicy> ReadUnitsPolicy(const std::string& path) {
  auto text = ReadTrusted(path);
  if (!text.ok()) return text.status();
  FirstPolicyError errors(path);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  v1::UnitsPolicy policy;
  if (!parser.ParseFromString(*text, &policy)) return absl::InvalidArgumentError(errors.text());
  return CompileUnitsPolicy(policy);
}

}  // namespace shadow
