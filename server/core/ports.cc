#include "server/core/ports.h"

namespace shadow {

absl::Status Provider::ApplyOne(InstanceOp::Kind kind, const InstanceSpec& instance) {
  const InstanceOp operation{.kind = kind, .instance = instance};
  return Apply({&operation, 1}).front();
}

}  // namespace shadow
