#include "server/api/readers/frame_guard.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113, section 6.
constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kResetStream = 0x3;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kWindowUpdate = 0x8;
constexpr uint8_t kContinuation = 0x9;
constexpr uint8_t kAckFlag = 0x1;        // Of SETTINGS.
constexpr uint8_t kEndStreamFlag = 0x1;  // Of DATA and HEADERS.

// What a frame costs of ReaderShare::units: about the work it makes, in units of some 10 us. A byte
// of a request can become 25 bytes of memory when it is parsed.
double UnitsOf(const FrameReader::Frame& frame) {
  constexpr double kBytesOfUnit = 100;
  if (frame.type == kHeaders || frame.type == kResetStream) return 10;
  if (frame.type == kWindowUpdate) return 1;
  if (frame.type == kData && frame.length > 0) return 1 + frame.length / kBytesOfUnit;
  return 5;
}

uint32_t ByteAt(const std::string& bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

}  // namespace

void ReaderShare::Refill(absl::Duration mono) {
  const double passed_seconds = absl::ToDoubleSeconds(mono - refilled_at);
  units = std::min(kUnitsMax, units + std::max(0.0, passed_seconds) * kUnitsPerSecond);
  refilled_at = mono;
}

absl::Duration ReaderShare::Wait() const {
  return units >= 0 ? absl::ZeroDuration() : absl::Seconds(-units / kUnitsPerSecond);
}

absl::Status FrameReader::Read(std::string_view bytes,
                               absl::FunctionRef<absl::Status(const Frame&)> take) {
  while (!bytes.empty()) {
    const size_t skipped = std::min<size_t>(to_skip_, bytes.size());
    to_skip_ -= static_cast<uint32_t>(skipped);
    bytes.remove_prefix(skipped);
    const size_t wanted = std::min(kHeaderBytes - header_.size(), bytes.size());
    header_.append(bytes.substr(0, wanted));
    bytes.remove_prefix(wanted);
    if (header_.size() < kHeaderBytes) return absl::OkStatus();
    const Frame frame{
        .length = ByteAt(header_, 0) << 16 | ByteAt(header_, 1) << 8 | ByteAt(header_, 2),
        .type = static_cast<uint8_t>(header_[3]),
        .flags = static_cast<uint8_t>(header_[4]),
        .stream = (ByteAt(header_, 5) & 0x7f) << 24 | ByteAt(header_, 6) << 16 |
                  ByteAt(header_, 7) << 8 | ByteAt(header_, 8)};
    header_.clear();
    to_skip_ = frame.length;
    if (const absl::Status taken = take(frame); !taken.ok()) return taken;
  }
  return absl::OkStatus();
}

FrameGuard::~FrameGuard() {
  while (!open_.empty()) End(open_.begin()->first);
}

absl::Status FrameGuard::FromClient(std::string_view bytes) {
  if (const absl::Status preface = TakePreface(bytes); !preface.ok()) return preface;
  return client_.Read(bytes,
                      [this](const FrameReader::Frame& frame) { return TakeFromClient(frame); });
}

void FrameGuard::FromServer(std::string_view bytes) {
  server_
      .Read(bytes,
            [this](const FrameReader::Frame& frame) {
              const bool carries = frame.type == kData || frame.type == kHeaders;
              if (frame.type == kResetStream || (carries && (frame.flags & kEndStreamFlag) != 0)) {
                End(frame.stream);
              }
              return absl::OkStatus();
            })
      .IgnoreError();
}

absl::Status FrameGuard::TakePreface(std::string_view& bytes) {
  const std::string_view wanted = kPreface.substr(preface_bytes_, bytes.size());
  if (!bytes.starts_with(wanted)) {
    return absl::InvalidArgumentError("the connection does not begin as HTTP/2 does");
  }
  preface_bytes_ += wanted.size();
  bytes.remove_prefix(wanted.size());
  return absl::OkStatus();
}

absl::Status FrameGuard::TakeFromClient(const FrameReader::Frame& frame) {
  share_.units -= UnitsOf(frame);
  if (frame.type != kData && frame.length > kFrameBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a frame of ", frame.length, " bytes; the limit is ", kFrameBytesMax));
  }
  switch (frame.type) {
    case kHeaders:
    case kContinuation:
      return TakeHeaders(frame);
    case kData:
      return TakeData(frame);
    case kResetStream:
      End(frame.stream);
      return absl::OkStatus();
    case kSettings:
      acknowledged_ = acknowledged_ || (frame.flags & kAckFlag) != 0;
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status FrameGuard::TakeHeaders(const FrameReader::Frame& frame) {
  if (frame.type == kHeaders) {
    header_block_bytes_ = 0;
    continuations_ = 0;
  }
  if (frame.type == kContinuation) ++continuations_;
  header_block_bytes_ += frame.length;
  if (header_block_bytes_ > kHeaderBlockBytesMax || continuations_ > kContinuationsMax) {
    return absl::ResourceExhaustedError(absl::StrCat("a header block of more than ",
                                                     kHeaderBlockBytesMax, " bytes or ",
                                                     kContinuationsMax, " CONTINUATION frames"));
  }
  if (frame.type != kHeaders || frame.stream <= newest_stream_) return absl::OkStatus();
  if (++opened_ > kUnacknowledgedStreamsMax && !acknowledged_) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kUnacknowledgedStreamsMax,
                                                     " calls before SETTINGS was acknowledged"));
  }
  newest_stream_ = frame.stream;
  open_.emplace(frame.stream, 0);
  if (++share_.streams <= ReaderShare::kStreamsMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", ReaderShare::kStreamsMax, " calls of one user at one time"));
}

absl::Status FrameGuard::TakeData(const FrameReader::Frame& frame) {
  const auto stream = open_.find(frame.stream);
  if (stream == open_.end()) return absl::OkStatus();
  stream->second += frame.length;
  share_.request_bytes += frame.length;
  if (share_.request_bytes <= ReaderShare::kRequestBytesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "requests of more than ", ReaderShare::kRequestBytesMax, " bytes of one user at one time"));
}

void FrameGuard::End(uint32_t stream) {
  const auto found = open_.find(stream);
  if (found == open_.end()) return;
  --share_.streams;
  share_.request_bytes -= found->second;
  open_.erase(found);
}

}  // namespace shadow
