// What shadowd and shadow-holder agree on. A daemon may be older or newer than the holder that it
// finds beside it, and than those that run: nothing here may change its meaning.
//
//   shadow-holder CHILD LOG_MAX_BYTES
//
// CHILD is a child of the holder already: the first process of the instance.
#pragma once

#include <cstddef>

namespace shadow {

// Of the holder, open when it is executed.
inline constexpr int kHolderOutputFd = 3;  // The read end of the instance's output.
inline constexpr int kHolderLogFd = 4;     // For reading and writing, not for appending.
inline constexpr int kHolderExitFd = 5;    // A file of blanks, for how CHILD ended.

// In the holder's environment, "STORE/EPOCH INSTANCE", of older daemons "STORE INSTANCE": what
// finds it where the record is lost. (An older daemon refuses the store that a newer one has used.)
inline constexpr char kHoldsVariable[] = "SHADOWD_HOLDS";

// "exited 3" or "killed 9", then blanks and a newline; all blank: not yet. It is overwritten in
// place, so that a full disk loses no exit status. Holders of newer daemons close it then.
inline constexpr size_t kExitFileBytes = 32;

}  // namespace shadow
