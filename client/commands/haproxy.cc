// shadowctl haproxy dump: what HAProxy has in its slots, for the HAProxy after a reload.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/errors.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kShowServers = "show servers state\n";
constexpr std::size_t kStateBytesMax = std::size_t{64} << 20;  // About 200 bytes a server.
constexpr std::size_t kStateReadBytes = 65536;
constexpr mode_t kStateMode = 0644;  // A state file holds names, addresses and weights.

absl::Status SystemError(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", PrintableText(path)));
}

// One exchange with the runtime socket, until HAProxy closes it.
class RuntimeCall {
 public:
  RuntimeCall(Session& session, const std::string& path)
      : session_(session),
        path_(path),
        deadline_(session.console().now() + session.call_timeout()) {}
  ~RuntimeCall() {
    if (fd_ >= 0) close(fd_);
  }
  RuntimeCall(const RuntimeCall&) = delete;
  RuntimeCall& operator=(const RuntimeCall&) = delete;

  absl::StatusOr<std::string> Ask(std::string_view line) {
    if (absl::Status status = Connect(); !status.ok()) return status;
    while (!line.empty()) {
      if (absl::Status status = WaitFor(POLLOUT); !status.ok()) return status;
      const ssize_t sent = send(fd_, line.data(), line.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return SystemError("write to", path_);
      if (sent > 0) line.remove_prefix(static_cast<std::size_t>(sent));
    }
    return ReadToEnd();
  }

 private:
  absl::Status Connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.empty() || path_.size() >= sizeof(address.sun_path)) {
      return BadField("--socket", "wanted a path of 1 to 107 bytes");
    }
    path_.copy(address.sun_path, path_.size());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return SystemError("make a socket for", path_);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      return absl::OkStatus();
    }
    const absl::Status status = SystemError("connect to", path_);
    return absl::Status(status.code(), absl::StrCat(std::string(status.message()),
                                                    "; is HAProxy running, with this `stats "
                                                    "socket`?"));
  }

  absl::StatusOr<std::string> ReadToEnd() {
    std::string text;
    std::array<char, kStateReadBytes> buffer;
    for (;;) {
      if (absl::Status status = WaitFor(POLLIN); !status.ok()) return status;
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got == 0) return text;
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got < 0) return SystemError("read from", path_);
      text.append(buffer.data(), static_cast<std::size_t>(got));
      if (text.size() > kStateBytesMax) {
        return absl::OutOfRangeError(absl::StrCat(PrintableText(path_), ": the answer is longer ",
                                                  "than ", kStateBytesMax, " bytes"));
      }
    }
  }

  absl::Status WaitFor(short events) {
    for (;;) {
      const absl::Duration left = deadline_ - session_.console().now();
      const auto millis = absl::ToInt64Milliseconds(
          std::clamp(left, absl::ZeroDuration(), session_.call_timeout()));
      pollfd entry{.fd = fd_, .events = events, .revents = 0};
      const int ready = poll(&entry, 1, static_cast<int>(millis));
      if (ready > 0) return absl::OkStatus();
      if (ready == 0) {
        return absl::DeadlineExceededError(
            absl::StrCat(PrintableText(path_), ": HAProxy has not answered within ",
                         absl::FormatDuration(session_.call_timeout())));
      }
      if (errno != EINTR) return SystemError("wait for", path_);
    }
  }

  Session& session_;
  const std::string& path_;
  const absl::Time deadline_;
  int fd_ = -1;
};

// How many servers the answer lists. kDataLoss: it is none of format 1, is cut off, or lists
// none. HAProxy would start with empty slots from such a file, as it does without one.
absl::StatusOr<std::int64_t> CountServers(std::string_view text) {
  constexpr std::string_view kVersion = "1\n# ";
  if (!text.starts_with(kVersion) || !text.ends_with("\n\n")) {
    return absl::DataLossError(
        absl::StrCat("`show servers state` was not answered with states of format 1: \"",
                     PrintableText(std::string(text.substr(0, 80))), "\""));
  }
  text.remove_suffix(1);
  const std::int64_t servers = std::count(text.begin(), text.end(), '\n') - 2;
  if (servers > 0) return servers;
  return absl::DataLossError("`show servers state` listed no server");
}

// Whole and durable, or not at all: HAProxy may read the file at any time.
absl::Status ReplaceFile(const std::string& path, std::string_view text) {
  std::string partial = path + ".XXXXXX";
  const int fd = mkostemp(partial.data(), O_CLOEXEC);
  if (fd < 0) return SystemError("create a file beside", path);
  const absl::Cleanup close_file = [fd] { close(fd); };
  absl::Cleanup remove = [&partial] { unlink(partial.c_str()); };
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write", partial);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fchmod(fd, kStateMode) != 0 || fsync(fd) != 0) return SystemError("write", partial);
  if (rename(partial.c_str(), path.c_str()) != 0) return SystemError("replace", path);
  std::move(remove).Cancel();
  return absl::OkStatus();
}

absl::Status DumpServers(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.state_file.empty()) return BadField("--file", "is empty");
  const auto text = RuntimeCall(session, arguments.socket).Ask(kShowServers);
  if (!text.ok()) return text.status();
  const absl::StatusOr<std::int64_t> servers = CountServers(*text);
  if (!servers.ok()) return servers.status();
  if (absl::Status status = ReplaceFile(arguments.state_file, *text); !status.ok()) return status;
  session.console().err << PrintableText(arguments.state_file) << ": "
                        << CountText(static_cast<int>(*servers), "server") << '\n';
  return absl::OkStatus();
}

constexpr std::array<Command, 1> kCommands = {{
    {"haproxy", "dump", "",
     "Write the state of HAProxy's servers to its server-state-file, before a reload",
     "haproxy dump --socket /run/haproxy/admin.sock --file /run/haproxy/server-state",
     kTakesStateDump, DumpServers},
}};

}  // namespace

std::span<const Command> HaproxyCommands() { return kCommands; }

}  // namespace shadow
