// "did you mean ...?" for names that the daemon does not know.
#pragma once

#include "absl/status/status.h"
#include "client/command.h"
#include "client/session.h"

namespace shadow {

// `status` of `command`; if it is NOT_FOUND and something has a name that is likely meant by the
// command's argument, with that name. Asks the daemon for its names; an error of that is no error.
absl::Status WithNameHint(Session& session, const Command& command, const absl::Status& status);

}  // namespace shadow
