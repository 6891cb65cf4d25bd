// A connection to a message bus, and calls to the service manager on it (sd-bus(3)).
#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/units/unit_properties.h"
#include "server/units/units.h"

namespace shadow {

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Bus = std::unique_ptr<sd_bus, BusCloser>;
using BusMessage = std::unique_ptr<sd_bus_message, BusCloser>;
using BusSlot = std::unique_ptr<sd_bus_slot, BusCloser>;

inline constexpr char kSystemd[] = "org.freedesktop.systemd1";
inline constexpr char kSystemdPath[] = "/org/freedesktop/systemd1";
inline constexpr char kSystemdManager[] = "org.freedesktop.systemd1.Manager";
inline constexpr char kSystemdUnit[] = "org.freedesktop.systemd1.Unit";
inline constexpr char kSystemdService[] = "org.freedesktop.systemd1.Service";

// Of one question to the manager, unless the call says otherwise.
inline constexpr absl::Duration kBusQuestionTimeout = absl::Milliseconds(1500);

// To the bus that this kind of manager is on. kUnavailable: there is none, and why.
absl::StatusOr<Bus> OpenBus(UnitWay way);

// The path of a unit's object.
std::string UnitPath(const std::string& unit);

// Of an error reply. kNotFound: no such unit, or it does not run. kAlreadyExists: there is one.
// kUnavailable: the bus or the manager does not answer. kFailedPrecondition: the manager takes no
// such property.
absl::Status BusStatus(const sd_bus_error& error, int result, const std::string& what);
// Of a negative result of sd-bus itself.
absl::Status BusStatus(int result, const std::string& what);

// A method of the manager, without arguments yet.
absl::StatusOr<BusMessage> ManagerCall(sd_bus* bus, const char* method);

// Sends it and waits for the reply.
absl::StatusOr<BusMessage> Ask(sd_bus* bus, sd_bus_message* call, absl::Duration timeout,
                               const std::string& what);

// Appends a(sv). A negative errno: of sd-bus.
int AppendProperties(sd_bus_message* message, const std::vector<UnitProperty>& properties);

}  // namespace shadow
