// Frames over a stream socket between shadowd and shadowd-units: 4 bytes of length, big-endian,
// then a message (proto/shadow/v1/units.proto). Each frame has a deadline, so a peer that stops in
// the middle of one holds nobody up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"

namespace shadow {

inline constexpr size_t kFrameMaxBytes = size_t{1} << 20;
inline constexpr size_t kFrameHeadBytes = 4;

// The bytes of a frame before its message of `bytes`, at most kFrameMaxBytes.
std::string FrameHead(size_t bytes);

// The length that `head` (kFrameHeadBytes) announces. kInvalidArgument: more than
// kFrameMaxBytes.
absl::StatusOr<size_t> FrameLength(std::string_view head);

// One end of a connection. One thread at a time; HangUp from any.
class FrameChannel {
 public:
  // Owns `fd`, a connected stream socket. `clock` must outlive this.
  FrameChannel(int fd, const Clock& clock);
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;
  ~FrameChannel();

  // Waits `idle` for a frame to begin, then `whole` for it to be complete. kNotFound: the peer has
  // hung up between two frames. kDeadlineExceeded: none has begun. All other errors: the connection
  // is of no use any more.
  absl::StatusOr<std::string> Receive(absl::Duration idle, absl::Duration whole);

  // kInvalidArgument: the message is too long, and nothing was sent. All other errors: the
  // connection is of no use any more.
  absl::Status Send(std::string_view message, absl::Duration whole);

  // Whoever waits in Receive or Send gets an error, now and later.
  void HangUp();

  int fd() const { return fd_; }

 private:
  // Until `deadline`. kUnavailable: the peer has hung up, or the connection failed.
  absl::Status WaitFor(short events, absl::Duration deadline);
  absl::Status ReadAll(char* to, size_t bytes, absl::Duration deadline);
  absl::Status WriteAll(std::string_view bytes, absl::Duration deadline);

  const int fd_;
  const Clock& clock_;
};

}  // namespace shadow
