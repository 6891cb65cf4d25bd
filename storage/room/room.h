// The room that is left where the store is, and what is done when it runs out: a ballast is given
// back slice by slice, and low says that nothing may be begun that needs more.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/room/ballast.h"

namespace shadow {

// Thread-safe. Looks at the file system, which may block: never on the control thread.
//
// Room is low from when the ballast is not whole, for want of room or because some of it was given
// back, or less than kLowBytes are free. It is no longer low once the ballast is whole and
// kAmpleBytes were free at kAmpleLooks looks in a row: a log that fills the disk, is cut, and fills
// it again is one time of low room.
class Room {
 public:
  static constexpr int64_t kBallastBytes = 16 << 20;
  static constexpr int64_t kLowBytes = 4 << 20;
  static constexpr int64_t kAmpleBytes = 8 << 20;
  static constexpr int kAmpleLooks = 3;

  using FreeBytes = std::function<absl::StatusOr<int64_t>(const std::string& directory)>;
  using Refuses = std::function<bool(const std::string& directory, int64_t bytes)>;

  struct Look {
    int64_t free_bytes = 0;    // For this user; without the ballast.
    int64_t wanted_bytes = 0;  // That must be free for `low` to end.
    bool low = false;
    bool scarce = false;  // Half of the ballast is gone.
  };

  // What is free to this user, by statvfs.
  static absl::StatusOr<int64_t> FreeBytesOf(const std::string& directory);

  // Whether so many more bytes are refused for want of room: by the file system or by a quota, of
  // which statvfs knows nothing. It takes them, in a file without a name, and gives them back.
  static bool RefusesBytes(const std::string& directory, int64_t bytes);

  // Makes the ballast in `directory`, where there is room for it.
  explicit Room(std::string directory, int64_t ballast_bytes = kBallastBytes,
                FreeBytes free_bytes = FreeBytesOf, Refuses refuses = RefusesBytes);

  const std::string& directory() const { return directory_; }

  // Looks, and makes the ballast whole again where there is room. Where the file system does not
  // say what is free, all stays as it was.
  Look LookNow();

  // As of the last LookNow or Release.
  Look last() const;
  // Whether all of the ballast is there.
  bool ballast_is_whole() const;

  // Whether a full disk or a quota explains `error`, of a write: the error says so, or there is no
  // room for a slice.
  bool Explains(const absl::Status& error) const;

  // Gives back a slice of the ballast, for a write that is tried again at once. False: nothing is
  // left to give.
  bool Release();

  // The same where the disk is full, for a write outside of the store.
  bool ReleaseIfFull();

 private:
  bool IsFull() const;
  bool ReleaseSlice();  // With the lock.

  const std::string directory_;
  const int64_t ballast_bytes_;
  const FreeBytes free_bytes_;
  const Refuses refuses_;
  mutable std::mutex mutex_;  // Guards what follows.
  storage::Ballast ballast_;
  Look last_;
  int ample_looks_ = 0;
};

}  // namespace shadow
