// What a start does before the loop begins: whether the store knows of all that lives, and the
// pools learn what the last daemon had not saved.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/adapters.h"
#include "server/core/adoption/adoption.h"
#include "server/core/clock.h"
#include "server/core/loop/control_loop.h"
#include "server/core/ports.h"
#include "server/workers/step_workers.h"
#include "storage/definitions/definition_files.h"
#include "storage/store.h"

namespace shadow {

// kDataLoss, naming them: instances live that are foreign to this store (core/adoption/lineage.h).
// Theirs was lost, or replaced by another; that this one does not know them is not an order to end
// them. The same where none lives, but the store is empty and something is `kept`.
// kUnavailable: the provider does not list them, so nobody knows.
absl::Status CheckNoneForeign(Provider& provider, const v1::StoreContents& contents,
                              const DefinitionFiles::Kept& kept);

// Ends them by force, because a person said so. kDeadlineExceeded: one lives on.
absl::Status EndForeign(Provider& provider, const v1::StoreContents& contents, Clock& clock);

// One or, with `end`, the other, of every provider but the default one that a pool in the store
// has. One that does not answer keeps nobody from starting: its pools say so, and the loop ends no
// instance of a newer store.
absl::Status CheckOthers(Adapters& adapters, const v1::StoreContents& contents, bool end,
                         Clock& clock);

// What one of the providers has noted of an instance at its creation; all empty: nothing.
using ReadNote = std::function<absl::StatusOr<CreationNote>(const std::string& id)>;

struct AdoptOptions {
  std::shared_ptr<const CompiledProvider> provider;
  ReadNote read_note;
  // What an empty store takes back (core/adoption/revival.h).
  DefinitionFiles::Kept kept;
  bool end_others = false;  // Those that cannot be adopted are ended, and those kept are forgotten.
};

// Takes them over (core/adoption), because a person said so: in `store`, durably, and in
// `contents`, which is what was loaded from it. If one of them cannot be adopted and is not to be
// ended, or what was kept cannot be taken back, nothing has changed, and they are named: kDataLoss.
// kUnavailable: the provider or a balancer does not answer, so nobody knows who serves.
absl::Status AdoptForeign(Adapters& adapters, const AdoptOptions& options, Store& store,
                          v1::StoreContents& contents, Clock& clock);

// What is kept beside the records of instances becomes what `contents` holds. An error is no reason
// not to start: `files` has it noted, and it is told.
void KeepDefinitions(DefinitionFiles& files, const v1::StoreContents& contents);

// `loop` is loaded; Recover is to follow. Makes the fits that were lost, and replays the
// samples up to `now` that came after the last save.
absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now);

}  // namespace shadow
