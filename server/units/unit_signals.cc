#include "server/units/unit_signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "server/units/unit_name.h"

namespace shadow {
namespace {

constexpr int kReconnectMs = 1000;
constexpr int kIdleMs = 60'000;

constexpr char kPropertiesMatch[] =
    "type='signal',sender='org.freedesktop.systemd1',"
    "path_namespace='/org/freedesktop/systemd1/unit',"
    "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
    "arg0='org.freedesktop.systemd1.Unit'";
constexpr char kRemovedMatch[] =
    "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',"
    "interface='org.freedesktop.systemd1.Manager',member='UnitRemoved'";

}  // namespace

UnitSignals::UnitSignals(UnitWay way, std::string prefix,
                         std::function<void(std::string_view id)> on_change)
    : way_(way),
      prefix_(std::move(prefix)),
      on_change_(std::move(on_change)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

UnitSignals::~UnitSignals() {
  thread_.request_stop();
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = write(wake_, &one, sizeof(one));
  thread_.join();
  if (wake_ >= 0) close(wake_);
}

void UnitSignals::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto bus = OpenBus(way_);
    if (bus.ok() && Subscribe(bus->get())) Hear(bus->get(), stop);
    if (!stop.stop_requested()) Wait(-1, 0, kReconnectMs);
  }
}

bool UnitSignals::Subscribe(sd_bus* bus) {
  if (sd_bus_add_match(bus, nullptr, kPropertiesMatch, OnProperties, this) < 0) return false;
  if (sd_bus_add_match(bus, nullptr, kRemovedMatch, OnRemoved, this) < 0) return false;
  return sd_bus_call_method(bus, kSystemd, kSystemdPath, kSystemdManager, "Subscribe", nullptr,
                            nullptr, "") >= 0;
}

void UnitSignals::Hear(sd_bus* bus, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0) return;
    if (done > 0) continue;
    const int events = sd_bus_get_events(bus);
    if (events < 0) return;
    Wait(sd_bus_get_fd(bus), static_cast<short>(events), kIdleMs);
  }
}

void UnitSignals::Wait(int fd, short events, int timeout_ms) const {
  std::array<pollfd, 2> files = {
      {{.fd = wake_, .events = POLLIN, .revents = 0}, {.fd = fd, .events = events, .revents = 0}}};
  poll(files.data(), files.size(), timeout_ms);
}

int UnitSignals::OnProperties(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
  const auto& signals = *static_cast<const UnitSignals*>(self);
  char* name = nullptr;
  if (sd_bus_path_decode(sd_bus_message_get_path(message), "/org/freedesktop/systemd1/unit",
                         &name) <= 0) {
    return 0;
  }
  const std::unique_ptr<char, decltype(&free)> owner(name, free);
  if (const std::string id = UnitId(signals.prefix_, name); !id.empty()) signals.on_change_(id);
  return 0;
}

int UnitSignals::OnRemoved(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
  const auto& signals = *static_cast<const UnitSignals*>(self);
  const char* name = nullptr;
  if (sd_bus_message_read(message, "s", &name) < 0) return 0;
  if (const std::string id = UnitId(signals.prefix_, name); !id.empty()) signals.on_change_(id);
  return 0;
}

}  // namespace shadow
