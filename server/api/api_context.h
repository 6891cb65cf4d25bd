// What the gRPC services work with.
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "server/api/access/access.h"
#include "server/api/access/caller.h"
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
  std::string state_dir;  // Where the store is.
  // Set by the server that these services belong to.
  Access* access = nullptr;
  // Who makes all of its calls, and is not limited; unset: a connection's address tells who.
  std::optional<Caller> direct = {};
};

}  // namespace shadow
