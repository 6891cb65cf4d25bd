#include "server/providers/process_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
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

// Length of the valid UTF-8 sequence at the start of `text`; 0: none. (RFC 3629, table 3-7 of
// Unicode)
size_t SequenceLength(std::string_view text) {
  const auto byte = [&text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto in = [](unsigned value, unsigned low, unsigned high) {
    return low <= value && value <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (in(first, 0xC2, 0xDF)) return in(byte(1), 0x80, 0xBF) ? 2 : 0;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (!in(byte(1), low, high) || !in(byte(2), 0x80, 0xBF)) return 0;
  if (in(first, 0xE0, 0xEF)) return 3;
  return in(first, 0xF0, 0xF4) && in(byte(3), 0x80, 0xBF) ? 4 : 0;
}

std::string Sanitized(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool c1_control =
        length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0) {
      clean += '?';
    } else if (c1_control || (length == 1 && absl::ascii_iscntrl(first))) {
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
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return "";
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info {};
  if (fstat(fd, &info) != 0) return "";
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
