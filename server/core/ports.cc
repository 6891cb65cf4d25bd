#include "server/core/ports.h"

namespace shadow {

absl::Status Provider::ApplyOne(InstanceOp::Kind kind, const InstanceSpec& instance) {
  const InstanceOp operation{.kind = kind, .instance = instance};
  return Apply({&operation, 1}).front();
}

absl::StatusOr<LogPiece> Provider::ReadLog(const InstanceSpec& /*instance*/,
                                           const LogRequest& /*request*/) {
  return absl::UnimplementedError("its provider keeps no output that the daemon can read");
}

}  // namespace shadow
