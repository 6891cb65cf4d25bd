#include "server/units/secret_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"

namespace shadow {
namespace {

constexpr size_t kMaxSecretBytes = 64 * 1024;
constexpr absl::Duration kFileClockLag = absl::Milliseconds(20);  // File times move in ticks.

absl::Status RefuseSecret(const v1::Secret& secret, const std::string& problem) {
  return FieldError(
      absl::StrCat("dna.security.secrets[", secret.environment_variable(), "].source_file"),
      problem, absl::StatusCode::kFailedPrecondition);
}

absl::StatusOr<std::string> ReadSecret(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  std::string text(kMaxSecretBytes + 1, '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = read(fd, text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  if (text.size() > kMaxSecretBytes) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is larger than ", kMaxSecretBytes, " bytes"));
  }
  if (text.ends_with('\n')) text.pop_back();
  if (text.find('\0') != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has a NUL byte, which no environment can hold"));
  }
  return text;
}

// What systemd keeps in an environment: UTF-8, and of the control characters two.
bool IsEnvironmentText(const std::string& text) {
  v1::Secret probe;
  probe.set_source_file(absl::StrReplaceAll(text, {{"\t", " "}, {"\n", " "}}));
  FieldChecker check;
  check.WellFormed(probe, "secret");
  return check.ok();
}

absl::Status WriteWhole(const std::string& path, std::string_view text) {
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  while (!text.empty()) {
    const ssize_t wrote = write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadSecrets(const v1::Security& security) {
  std::vector<std::string> contents;
  for (const v1::Secret& secret : security.secrets()) {
    auto content = ReadSecret(secret.source_file());
    if (!content.ok()) {
      return RefuseSecret(secret, std::string(content.status().message()));
    }
    contents.push_back(*std::move(content));
  }
  return contents;
}

std::optional<std::vector<std::string>> SecretsGivenAt(const v1::Security& security,
                                                       absl::Time start_time) {
  auto contents = ReadSecrets(security);
  if (!contents.ok()) return std::nullopt;
  // Looked at after reading, so that no change in between goes unseen.
  for (const v1::Secret& secret : security.secrets()) {
    struct stat info {};
    if (stat(secret.source_file().c_str(), &info) != 0) return std::nullopt;
    const absl::Time change_time =
        std::max(absl::TimeFromTimespec(info.st_mtim), absl::TimeFromTimespec(info.st_ctim));
    if (change_time >= start_time - kFileClockLag) return std::nullopt;
  }
  return *std::move(contents);
}

std::string SecretEnvironment(const v1::Security& security,
                              const std::vector<std::string>& contents) {
  std::string text;
  for (size_t i = 0; i < contents.size(); ++i) {
    const v1::Secret& secret = security.secrets(static_cast<int>(i));
    absl::StrAppend(&text, secret.environment_variable(), "=\"",
                    absl::StrReplaceAll(
                        contents[i], {{"\\", "\\\\"}, {"\"", "\\\""}, {"$", "\\$"}, {"`", "\\`"}}),
                    "\"\n");
  }
  return text;
}

absl::Status WriteSecretEnvironment(const v1::Security& security, const std::string& path) {
  const auto contents = ReadSecrets(security);
  if (!contents.ok()) return contents.status();
  for (size_t i = 0; i < contents->size(); ++i) {
    if (IsEnvironmentText((*contents)[i])) continue;
    return RefuseSecret(security.secrets(static_cast<int>(i)),
                        "holds bytes that systemd takes into no environment: it must be UTF-8 "
                        "without control characters");
  }
  return WriteWhole(path, SecretEnvironment(security, *contents));
}

}  // namespace shadow
