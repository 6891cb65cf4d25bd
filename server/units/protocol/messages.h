// What the messages between shadowd and shadowd-units (proto/shadow/v1/units.proto) mean in terms
// of the seam `Units`. Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/units/units.h"
#include "shadow/v1/units.pb.h"

namespace shadow {

// A unit without a log file: units of the system write to the journal.
v1::UnitsRequest StartRequest(const UnitSpec& unit);
// `request` has `start`.
UnitSpec SpecOf(const v1::UnitsRequest& request);

v1::UnitView ViewMessage(const UnitView& view);
UnitView ViewOf(const v1::UnitView& message);

// `status` with its field and reason, its message cut to what a reply holds.
v1::UnitsReply StatusReply(const absl::Status& status);
// kInternal: a code that is none.
absl::Status StatusOf(const v1::UnitsReply& reply);

// All views, in as many replies as frames need; at least one.
std::vector<v1::UnitsReply> ListReplies(const std::vector<UnitView>& views);

}  // namespace shadow
