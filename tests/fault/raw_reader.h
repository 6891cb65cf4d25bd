// Calls by hand, on connections that choose how much of the answers the daemon may send.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/readers/frame_guard.h"
#include "tests/e2e/shadow_world.h"
#include "tests/fault/hostile_reader.h"

namespace shadow {

// `count` DNAs, each of `bytes` and some more; each makes an event that is as large.
inline void CreateLargeDnas(ShadowWorld& world, int count, size_t bytes) {
  for (int i = 0; i < count; ++i) {
    v1::CreateDnaRequest request;
    *request.mutable_dna() = world.DnaSpec();
    request.mutable_dna()->set_name("dnas/large-" + std::to_string(i));
    (*request.mutable_dna()->mutable_process()->mutable_environment())["FILL"] =
        std::string(bytes, 'x');
    ShadowWorld::Must(
        DaemonProcess::Call(world.daemon().dnas(), &v1::DnaService::Stub::CreateDna, request));
  }
}

// Of calls that were answered at all.
struct Answers {
  int admitted = 0;  // Begun, and not ended.
  int refused = 0;
};

// A connection of `uid`.
class RawReader {
 public:
  // `window_bytes`: what the daemon may send of each answer. It is never given more.
  RawReader(const DaemonProcess& daemon, uid_t uid, uint32_t window_bytes)
      : socket_(Reader(daemon, uid)) {
    constexpr uint32_t kInitialWindowSize = 4;  // RFC 9113, section 6.5.2.
    http2::Send(socket_, http2::Preface() +
                             http2::Frame(http2::kSettings, 0, 0,
                                          http2::BigEndian(kInitialWindowSize, 2) +
                                              http2::BigEndian(window_bytes, 4)) +
                             http2::SettingsAck());
  }

  // `times` calls of `method`.
  template <typename Request>
  void Call(std::string_view method, const Request& request, int times) {
    const std::string bytes = request.SerializeAsString();
    const std::string message = http2::Message(static_cast<uint32_t>(bytes.size()), bytes);
    std::string calls;
    for (int i = 0; i < times; ++i, next_stream_ += 2) {
      calls += http2::Frame(http2::kHeaders, http2::kEndHeaders, next_stream_,
                            http2::CallHeaders(method)) +
               http2::Frame(http2::kData, http2::kEndStream, next_stream_, message);
    }
    http2::Send(socket_, calls);
  }

  // As far as they have come; takes what is there.
  Answers Take() {
    char bytes[65536];
    while (true) {
      const ssize_t got = recv(socket_.fd(), bytes, sizeof(bytes), MSG_DONTWAIT);
      if (got <= 0) break;
      frames_
          .Read({bytes, static_cast<size_t>(got)},
                [this](const FrameReader::Frame& frame) {
                  if (frame.type == http2::kHeaders) {
                    ended_[frame.stream] = (frame.flags & http2::kEndStream) != 0;
                  }
                  return absl::OkStatus();
                })
          .IgnoreError();
    }
    const auto ended = std::count_if(ended_.begin(), ended_.end(),
                                     [](const auto& stream) { return stream.second; });
    return {.admitted = static_cast<int>(std::ssize(ended_) - ended),
            .refused = static_cast<int>(ended)};
  }

 private:
  TestSocket socket_;
  FrameReader frames_;
  uint32_t next_stream_ = 1;
  std::map<uint32_t, bool> ended_;  // Streams that were answered.
};

inline Answers AnswersOf(std::vector<RawReader>& readers) {
  Answers all;
  for (RawReader& reader : readers) {
    const Answers answers = reader.Take();
    all.admitted += answers.admitted;
    all.refused += answers.refused;
  }
  return all;
}

}  // namespace shadow
