// What is seen of an instance; how it ended is what its holder notes in DIR/instances/ID.exit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"

namespace shadow {

// Makes the file anew, blank, mode 0600. The descriptor is the caller's. What a holder of before
// still writes goes nowhere.
absl::StatusOr<int> OpenExitFile(const std::string& path);

// What a holder has noted: "killed 9" -> "killed by SIGKILL". Empty: nothing, or nobody that we
// know has noted it.
std::string ParseExit(std::string_view text);

// Unset: the instance lives. Otherwise why it does not, without its output: "exit status 3",
// "killed by SIGKILL", "its holder was killed" (then processes of it may live). Waits 0.2 s at most
// for a holder that is about to note it, and continues one that somebody has stopped.
absl::StatusOr<std::optional<std::string>> HowItEnded(const ProcessRecord& record,
                                                      const std::string& exit_path, Clock& clock);

// Life, address, handle, and why it ended. One that Suspend has stopped is running if anything of
// it runs in `tree`. One that is wholly stopped in `tree`, but not by Suspend, is suspended too.
absl::StatusOr<Observation> ObserveInstance(const ProcessRecord& record,
                                            const std::string& exit_path, const ProcessTree& tree,
                                            Clock& clock);

// The reason and the instance's last words, or why they are withheld. `dna`: what its secrets are;
// nullptr: unknown.
std::string WithLastOutput(const std::string& reason, const ProcessRecord& record,
                           const std::string& log_path, const CompiledDna* dna);

}  // namespace shadow
