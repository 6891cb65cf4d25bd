// A client of HAProxy's runtime socket (`stats socket PATH level admin`).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow {

// Stateless between calls, one connection for each Run; any thread. `clock` must outlive this.
class HaproxySocket {
 public:
  // For everything that one call of a seam does on the socket.
  static constexpr absl::Duration kCallTimeout = absl::Seconds(2);
  // `show stat` takes about 400 bytes a server: 8 MiB hold more than 10,000 servers.
  static constexpr size_t kReplyBytesMax = size_t{8} << 20;
  static constexpr size_t kCommandsMax = 16;

  HaproxySocket(std::string path, const Clock& clock);

  // Sends `commands` in one line and reads to the end of the stream. Returns one reply per command,
  // in their order, each without the empty line that ends it; a `set` that succeeded answers "".
  // HAProxy carries on after a command that failed, so what must not happen after a failure belongs
  // into a later Run. `deadline` is monotonic, on the clock given. kInvalidArgument: a command that
  // holds ';', a backslash or a control character (nothing is sent). kUnavailable: nothing listens
  // at the path. kPermissionDenied: the path may not be opened. kDeadlineExceeded: not answered in
  // time. kInternal: the reply is too long, cut off, or not one per command. Every message names
  // the path.
  absl::StatusOr<std::vector<std::string>> Run(const std::vector<std::string>& commands,
                                               absl::Duration deadline) const;

  // kCallTimeout from now.
  absl::Duration Deadline() const;

  const std::string& path() const { return path_; }

 private:
  absl::StatusOr<std::string> Exchange(std::string_view line, absl::Duration deadline) const;
  absl::Status WaitFor(int fd, short events, absl::Duration deadline) const;

  const std::string path_;
  const Clock& clock_;
};

// At most 160 characters of `text` in quotes, fit for a message: what is not printable ASCII
// becomes '?', line breaks become '|'.
std::string QuoteReply(std::string_view text);

// A name that is put into commands. kInvalidArgument: a FieldError for `field` if it is not a
// foreign name (core/names.h), which leaves no way to smuggle a second command in.
absl::Status CheckHaproxyName(std::string_view field, std::string_view name);

}  // namespace shadow
