// Frames of readers: whatever comes, nothing is held once the connection has ended.
#include <cstdlib>

#include "server/api/readers/frame_guard.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  ReaderShare share;
  {
    FrameGuard guard(share);
    absl::Status status = guard.FromClient("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // The first byte of each piece says how long it is and who sends it.
    while (status.ok() && !bytes.empty()) {
      const auto first = static_cast<uint8_t>(bytes.front());
      const std::string_view piece = bytes.substr(1, first / 2);
      bytes.remove_prefix(1 + piece.size());
      if (first % 2 == 0) {
        status = guard.FromClient(piece);
      } else {
        guard.FromServer(piece);
      }
    }
  }
  if (share.streams != 0 || share.request_bytes != 0) abort();
}

}  // namespace shadow
