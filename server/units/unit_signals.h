// Hears what a service manager tells of its units.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "server/units/bus.h"
#include "server/units/units.h"

namespace shadow {

// Listens on a connection and a thread of its own, which it makes again when they break. While they
// are broken nothing is told. Its destructor ends the thread.
class UnitSignals {
 public:
  // `on_change` is called on the thread with the id of each unit with this prefix whose state has
  // changed or that has been unloaded.
  UnitSignals(UnitWay way, std::string prefix, std::function<void(std::string_view id)> on_change);
  ~UnitSignals();
  UnitSignals(const UnitSignals&) = delete;
  UnitSignals& operator=(const UnitSignals&) = delete;

 private:
  void Run(const std::stop_token& stop);
  // Until the connection breaks.
  void Hear(sd_bus* bus, const std::stop_token& stop);
  bool Subscribe(sd_bus* bus);
  // Until it is readable, or `stop`.
  void Wait(int fd, short events, int timeout_ms) const;

  static int OnProperties(sd_bus_message* message, void* self, sd_bus_error* error);
  static int OnRemoved(sd_bus_message* message, void* self, sd_bus_error* error);

  const UnitWay way_;
  const std::string prefix_;
  const std::function<void(std::string_view id)> on_change_;
  int wake_ = -1;  // eventfd: wakes the thread for its end.
  std::jthread thread_;
};

}  // namespace shadow
