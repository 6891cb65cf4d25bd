// shadowd-units: starts units of the host for a daemon without privileges. It gets its socket from
// systemd, keeps nothing, and needs of root only that the service manager takes its orders.
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/logging.h"
#include "server/core/clock.h"
#include "server/units/gate/unit_count.h"
#include "server/units/gate/units_gate.h"
#include "server/units/gate/units_server.h"
#include "server/units/policy/paths.h"
#include "server/units/policy/policy.h"
#include "server/units/sd_bus_units.h"

namespace {

constexpr int kExitConfig = 78;  // sysexits.h: EX_CONFIG.

struct Flags {
  std::string user = "shadowd";
  std::string policy_path = "/etc/shadowd/units.textproto";
  std::string secrets_dir = "/run/shadowd-units/secrets";
  bool check_policy = false;
};

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "shadowd-units: " << status.message() << "\n";
  return exit_code;
}

absl::StatusOr<shadow::DaemonUser> UserOf(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr) return absl::NotFoundError(absl::StrCat("there is no user ", name));
  return shadow::DaemonUser{.name = name, .uid = entry->pw_uid};
}

// Whatever this was started with: from here on no capability, and none ever again.
absl::Status DropCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    prctl(PR_CAPBSET_DROP, capability);  // Where it may; otherwise there is nothing to drop.
  }
  bool good = syscall(SYS_capget, &header, held) == 0;
  // In the unit it holds none, and may not ask for that either.
  if (good && std::memcmp(held, none, sizeof(none)) != 0) {
    good = syscall(SYS_capset, &header, none) == 0;
  }
  if (!good || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) {
    return absl::ErrnoToStatus(errno, "cannot drop privileges");
  }
  return absl::OkStatus();
}

// The socket that systemd has given.
absl::StatusOr<int> GivenSocket() {
  const int given = sd_listen_fds(1);
  if (given != 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, nullptr, 0) <= 0) {
    return absl::FailedPreconditionError(
        "wanted one listening Unix socket from systemd; enable shadowd-units.socket");
  }
  return SD_LISTEN_FDS_START;
}

absl::Status Serve(const Flags& flags, const shadow::DaemonUser& daemon, int socket_fd) {
  google::protobuf::SetLogHandler(nullptr);  // What is no message is refused, and that is logged.
  shadow::SystemClock clock;
  shadow::UnitsGate gate({.daemon = daemon,
                          .policy = [&flags] { return shadow::ReadUnitsPolicy(flags.policy_path); },
                          .make =
                              [&](const std::string& store, const std::string& slice) {
                                return std::make_unique<shadow::SdBusUnits>(
                                    shadow::SdBusUnits::Options{.way = shadow::UnitWay::kSystem,
                                                                .slice = slice,
                                                                .store_id = store,
                                                                .secrets_dir = flags.secrets_dir,
                                                                .clock = clock});
                              },
                          .count = [] { return shadow::CountUnits(); },
                          .check_paths = shadow::CheckTrustedPaths});
  shadow::UnitsServer::Options options;
  options.allowed_uid = daemon.uid;
  // "<4>": a warning, for the journal.
  options.log = [](const std::string& line) { std::fprintf(stderr, "<4>%s\n", line.c_str()); };
  shadow::UnitsServer server(socket_fd, gate, clock, std::move(options));

  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGINT);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  std::thread signals([&server, awaited] {
    int signal = 0;
    sigwait(&awaited, &signal);
    server.Stop();
  });
  const absl::Status status = server.Run();
  kill(getpid(), SIGTERM);  // It waits for one.
  signals.join();
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("shadowd-units starts units of the host for shadowd, as far as root lets it.");
  Flags flags;
  app.add_option("--user", flags.user, "Who may connect")->capture_default_str();
  app.add_option("--policy", flags.policy_path,
                 "What may be asked for, text protobuf (UnitsPolicy)")
      ->capture_default_str();
  app.add_option("--secrets-dir", flags.secrets_dir, "Where secrets are while a unit starts")
      ->capture_default_str();
  app.add_flag("--check-policy", flags.check_policy, "Check the policy and exit");
  app.set_version_flag("--version", "shadowd-units " SHADOWD_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto policy = shadow::ReadUnitsPolicy(flags.policy_path);
  if (flags.check_policy) {
    if (!policy.ok()) return Fail(policy.status(), kExitConfig);
    std::cout << "policy is good\n";
    return 0;
  }
  const auto daemon = UserOf(flags.user);
  if (!daemon.ok()) return Fail(daemon.status(), kExitConfig);
  const auto socket_fd = GivenSocket();
  if (!socket_fd.ok()) return Fail(socket_fd.status(), kExitConfig);
  // It may be fixed while this serves; until then each request is refused.
  if (!policy.ok()) Fail(policy.status(), 0);
  if (absl::Status dropped = DropCapabilities(); !dropped.ok()) return Fail(dropped, 1);
  const absl::Status served = Serve(flags, *daemon, *socket_fd);
  return served.ok() ? 0 : Fail(served, 1);
}
