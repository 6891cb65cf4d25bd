// Units in memory behind the gate of shadowd-units, as the daemon's end of its socket shows them.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/core/clock.h"
#include "server/units/gate/units_gate.h"
#include "server/units/gate/units_server.h"
#include "server/units/privileged_units.h"
#include "tests/fakes/fake_units.h"
#include "tests/fakes/poll.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {

class GatedUnitsPlace {
 public:
  GatedUnitsPlace()
      : gate_({.daemon = {.name = "shadowd", .uid = 990},
               .policy = [] { return CompileUnitsPolicy({}); },
               .make = [this](const std::string&,
                              const std::string&) { return std::make_unique<FakeUnits>(manager_); },
               .count = [] { return absl::StatusOr<int>(0); },
               .check_paths = [](const v1::Dna&) { return absl::OkStatus(); }}),
        server_(Listening(), gate_, clock_, {.allowed_uid = geteuid()}),
        thread_([this] { ran_ = server_.Run(); }) {
    Reopen();
  }
  ~GatedUnitsPlace() {
    units_ = nullptr;
    server_.Stop();
    thread_.join();
    CHECK(ran_.ok());
  }

  Units& units() { return *units_; }
  // As another daemon with the same store.
  Units& Reopen() {
    units_ = std::make_unique<PrivilegedUnits>(
        PrivilegedUnits::Options{
            .socket_path = path(), .store_id = store_id(), .call_time = kPatience},
        clock_);
    return *units_;
  }
  void Exit(const std::string& id, int code, int status) { manager_->Exit(id, code, status); }
  void AwaitListener() {
    REQUIRE(PollUntil(kPatience, [this] {
      const std::lock_guard lock(manager_->mutex);
      return manager_->on_change != nullptr;
    }));
  }
  static std::string store_id() { return "store"; }

 private:
  std::string path() const { return directory_ / "socket"; }
  int Listening() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd, SOMAXCONN) == 0);
    return fd;
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  std::shared_ptr<UnitsInMemory> manager_ = std::make_shared<UnitsInMemory>();
  UnitsGate gate_;
  UnitsServer server_;
  std::unique_ptr<Units> units_;
  absl::Status ran_;    // The server, once it has ended.
  std::thread thread_;  // Last: it uses everything above.
};

}  // namespace shadow
