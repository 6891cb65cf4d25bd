// What the gRPC services work with.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "server/api/caller.h"
#include "server/control_thread.h"
#include "server/event_hub.h"
#include "server/log/request_log.h"
#include "server/simulation_worker.h"
#include "storage/store.h"

namespace shadow {

// Everything that services borrow; all of it must outlive them.
struct ApiContext {
  ControlThread& control;
  Store& store;
  EventHub& hub;
  Clock& clock;
  SimulationWorker& simulations;  // Shut down with the server.
  RequestLog& requests;
  absl::Time start_time;
  std::string state_dir;                // Where the store is.
  Role role = Role::kReader;            // Of all who call these services.
  std::optional<uid_t> admin_uid = {};  // Of all who call them; unset: they are readers.
};

}  // namespace shadow
