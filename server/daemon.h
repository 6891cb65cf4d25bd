// The daemon, put together: the one place that names concrete adapters.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

struct Adapters;
class Clock;
class Room;
class SimulationWorker;
class Store;

using ConfigReader = std::function<absl::StatusOr<Config>()>;
using MayAct = std::function<bool()>;  // As Adapters has it.

// Takes the state, recovers, serves until one of SIGTERM and SIGINT comes, and ends in order.
// SIGHUP reads the configuration again: a bad one is refused as a whole, and of a good one counts
// what can at once. These signals must be blocked in every thread. Instances go on without it.
// Serves on the socket that systemd has passed, if one was (TakeInheritedSocket).
// kAlreadyExists: another daemon holds the state or the socket. kFailedPrecondition: the state
// directory is not for this shadowd (a newer schema, another program's file, a copy, another
// user's), a file of TLS is no good, or what systemd passed is no such socket, which does not get
// better by trying again. kDataLoss: it is damaged. kResourceExhausted: there is no room to open
// the store, or no descriptor. Other errors: it could not start, or its store failed (start it
// again: it recovers).
absl::Status RunDaemon(const Config& config, const ConfigReader& read_config, MayAct may_act);

// Part of RunDaemon; a test walks all kinds of adapters. References outlive what is returned.
// `open_files`: what instances start with. An error: the default provider cannot be made.
absl::StatusOr<Adapters> MakeAdapters(const Config& config, uint64_t open_files,
                                      const v1::StoreContents& contents, Store& store, Room& room,
                                      SimulationWorker& simulations, Clock& clock);

}  // namespace shadow
