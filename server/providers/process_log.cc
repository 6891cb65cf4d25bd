#include "server/providers/process_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/core/spec/utf8.h"
#include "server/holder/bounded_log.h"

namespace shadow {
namespace {

constexpr size_t kMaxLastBytes = 512;
constexpr size_t kMaxLastLines = 3;
constexpr int64_t kTailBytes = 4096;
constexpr char kHidden[] = "[secret]";

// The last `bytes` of an open file of `size`.
std::string ReadTail(int fd, int64_t size, int64_t bytes) {
  const int64_t begin = std::max<int64_t>(0, size - bytes);
  std::string text(static_cast<size_t>(size - begin), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got =
        pread(fd, text.data() + filled, text.size() - filled, begin + static_cast<int64_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return text;
}

std::string Sanitized(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) {
      clean += '?';
    } else if (IsControlSequence(text)) {
      clean += ' ';
    } else {
      clean.append(text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

void Hide(const std::vector<std::string>& secrets, std::string& text) {
  std::vector<std::string> hidden;
  for (const std::string& secret : secrets) {
    hidden.push_back(secret);
    for (const auto line : absl::StrSplit(secret, absl::ByAnyChar("\r\n"))) {
      hidden.emplace_back(line);
    }
  }
  std::sort(hidden.begin(), hidden.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  for (const std::string& secret : hidden) {
    if (!absl::StripAsciiWhitespace(secret).empty()) {
      text = absl::StrReplaceAll(text, {{secret, kHidden}});
    }
  }
}

// The last bytes, from the beginning of a character.
std::string Last(std::string text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.erase(0, text.size() - bytes);
  while (!text.empty() && (static_cast<unsigned char>(text.front()) & 0xC0) == 0x80) {
    text.erase(0, 1);
  }
  return text;
}

}  // namespace

absl::StatusOr<int> OpenLog(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  return fd;
}

absl::Status CapLog(const std::string& path, int64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return absl::OkStatus();
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (info.st_size <= max_bytes) return absl::OkStatus();
  if (CutLog(fd, max_bytes) >= 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot cut ", path));
}

std::string LastOutput(const std::string& path, const std::vector<std::string>& secrets) {
  // Not waiting for a writer: an instance may have put a FIFO there.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return "";
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return "";
  std::string tail = ReadTail(fd, info.st_size, kTailBytes);
  // A line that was cut could begin with the end of a secret, which nobody would know for one.
  if (info.st_size > kTailBytes) tail.erase(0, std::min(tail.find('\n'), tail.size()));
  Hide(secrets, tail);
  std::vector<std::string> lines;
  for (const auto line : absl::StrSplit(tail, '\n')) {
    const auto stripped = absl::StripAsciiWhitespace(line);
    if (!stripped.empty()) lines.emplace_back(stripped);
  }
  std::string joined;
  for (size_t i = lines.size() - std::min(lines.size(), kMaxLastLines); i < lines.size(); ++i) {
    absl::StrAppend(&joined, joined.empty() ? "" : " | ", lines[i]);
  }
  return Last(Sanitized(joined), kMaxLastBytes);
}

}  // namespace shadow
