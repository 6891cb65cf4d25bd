// State directories of a daemon that has planned for many pools, made without waiting for it.
#pragma once

#include <string>

#include "absl/time/time.h"

namespace shadow::bench {

struct LearnedState {
  int pools = 1000;
  int days = 15;           // Of history, in steps of 5 minutes.
  int planned_steps = 12;  // Of them, those that the daemon has planned by.
  absl::Time until;        // A step boundary.
};

// Two directories that do not exist yet get the store of a daemon with such pools, in OBSERVE. In
// `killed` it was killed: some pools were saved half an hour ago; in `saved` it ended in order.
// Both hold a last step that it has not planned by: the first thing that a daemon has to do there.
// Throws std::runtime_error.
void MakeLearnedStates(const LearnedState& state, const std::string& killed,
                       const std::string& saved);

}  // namespace shadow::bench
