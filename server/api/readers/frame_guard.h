// What one connection of a reader may do, checked on the frames of HTTP/2 before gRPC sees them.
//
// gRPC 1.51 keeps no bound of its own until a client has acknowledged its settings, and none at all
// on CONTINUATION frames (CVE-2024-27316), streams that are reset at once (CVE-2023-44487) and
// messages that are never completed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace shadow {

// What the connections of one caller have together. Not thread-safe.
struct ReaderShare {
  static constexpr int kStreamsMax = 128;               // Calls under way.
  static constexpr int64_t kRequestBytesMax = 6 << 20;  // Of all calls under way.
  static constexpr double kUnitsMax = 20'000;           // What may be spent at once.
  static constexpr double kUnitsPerSecond = 20'000;     // What is added to it.
  static constexpr double kUnitsOfConnection = 100;     // What a connection costs.

  int connections = 0;
  int streams = 0;
  int64_t request_bytes = 0;
  double units = kUnitsMax;    // Below zero: nothing is read from this user.
  absl::Duration refilled_at;  // Of the clock's monotonic time.

  void Refill(absl::Duration mono);
  // Time until `units` is at least zero; zero if it is already.
  absl::Duration Wait() const;
};

// The frame headers of one direction. Payloads are passed over.
class FrameReader {
 public:
  struct Frame {
    uint32_t length = 0;  // Bytes of the payload.
    uint8_t type = 0;
    uint8_t flags = 0;
    uint32_t stream = 0;
  };

  // Calls `take` for each frame whose header is complete with `bytes`; ends with its first error.
  absl::Status Read(std::string_view bytes, absl::FunctionRef<absl::Status(const Frame&)> take);

 private:
  static constexpr size_t kHeaderBytes = 9;

  std::string header_;    // Of the next frame, as far as it has come.
  uint32_t to_skip_ = 0;  // Of the payload.
};

// Not thread-safe. `share` must outlive it.
class FrameGuard {
 public:
  static constexpr uint32_t kHeaderBlockBytesMax = 16 << 10;  // HEADERS and its CONTINUATIONs.
  static constexpr uint32_t kFrameBytesMax = 16 << 10;        // Of all frames but DATA.
  static constexpr int kContinuationsMax = 4;                 // Of one header block.
  static constexpr int kUnacknowledgedStreamsMax = 8;  // Before the client has taken our settings.

  explicit FrameGuard(ReaderShare& share) : share_(share) {}
  // Gives back what its streams hold of `share`.
  ~FrameGuard();
  FrameGuard(const FrameGuard&) = delete;
  FrameGuard& operator=(const FrameGuard&) = delete;

  // Charges `share` for what the client sends. kInvalidArgument: this is not HTTP/2 with prior
  // knowledge. kResourceExhausted: a limit, which the message names. The connection must be closed
  // then.
  absl::Status FromClient(std::string_view bytes);

  // Ends the streams that the server ends.
  void FromServer(std::string_view bytes);

 private:
  absl::Status TakePreface(std::string_view& bytes);
  absl::Status TakeFromClient(const FrameReader::Frame& frame);
  absl::Status TakeHeaders(const FrameReader::Frame& frame);
  absl::Status TakeData(const FrameReader::Frame& frame);
  void End(uint32_t stream);

  ReaderShare& share_;
  FrameReader client_;
  FrameReader server_;
  size_t preface_bytes_ = 0;  // That have come.
  bool acknowledged_ = false;
  uint32_t newest_stream_ = 0;
  int opened_ = 0;                    // Streams since the beginning.
  uint32_t header_block_bytes_ = 0;   // Of the newest one.
  int continuations_ = 0;             // Of the newest header block.
  std::map<uint32_t, int64_t> open_;  // Streams under way: bytes of their requests.
};

}  // namespace shadow
