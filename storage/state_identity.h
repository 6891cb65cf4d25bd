// Where a store lives: so that a copy is not taken for its original.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// Two daemons on one registry would end each other's instances, so a store knows its place: the
// host by its machine id, the directory by its inode, and, within one boot, the device: device
// numbers may be others after a boot. (A clone of the whole machine cannot be told from its
// original.)
struct StateIdentity {
  std::string machine_id;  // Empty: the host has none.
  std::string inode;
  std::string device;
  std::string boot_id;  // Empty: not known.

  bool operator==(const StateIdentity&) const = default;
};

// `boot_id` as of now.
absl::StatusOr<StateIdentity> ReadStateIdentity(const std::string& directory,
                                                const std::string& boot_id);

// Whether the closed state.db at `path` was last used as `here`. OK too if it is not there, or of a
// version that did not note it. Changes nothing. kFailedPrecondition: it is a copy; the message
// says how to go on.
absl::Status CheckIdentity(const std::string& path, const StateIdentity& here);

// Where the store is in another place than before, or in its first one, it begins a new epoch: who
// goes on there, and who may still use what it was copied from, give out the same ids from here on.
// Its past epochs count up to the revision that it had then. Atomic. Writes nothing if it is the
// same as before: a start must be possible on a full disk.
absl::Status SaveIdentity(Connection& state, const StateIdentity& here);

// Lets the state.db at `path`, which must not be in use, be opened in any directory next, where it
// begins a new epoch.
absl::Status ForgetIdentity(const std::string& path);

}  // namespace shadow::storage
