// SIGHUP: the configuration is read again while the daemon serves. What systemd is told of it.
#include <signal.h>

#include <fstream>
#include <string>

#include "tests/e2e/shadow_world.h"
#include "tests/fakes/notify_socket.h"

namespace shadow {
namespace {

class Reloading {
 public:
  // Returns once the log has a further line with `word`.
  bool With(const std::string& config, const std::string& word) {
    const size_t before = Count(word);
    std::ofstream(daemon.directory() + "/shadowd.textproto") << config;
    kill(daemon.pid(), SIGHUP);
    return PollUntil(DaemonProcess::kStopTimeout, [&] { return Count(word) > before; });
  }

  size_t Count(const std::string& word) const {
    const std::string log = daemon.Log();
    size_t count = 0;
    for (size_t at = log.find(word); at != std::string::npos; at = log.find(word, at + 1)) ++count;
    return count;
  }

  bool Answers() {
    return DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {}).ok();
  }

  DaemonProcess daemon{SHADOW_BIN_DIR};
};

TEST_CASE("a bad configuration is refused as a whole, and the old one goes on") {
  Reloading reload;
  CHECK(reload.With("log_level: \"info\"\nevents_max: 5\n", "events_max: 5 is not between"));
  CHECK(reload.With("log_level: \"info\"\nno_field: 1\n", "shadowd.textproto:2:"));
  CHECK(reload.Count("was not reloaded, the old one stays in force") == 2);
  CHECK(reload.Answers());
}

TEST_CASE("what can change at once does, and what needs a restart is named") {
  Reloading reload;
  CHECK(reload.With("log_level: \"info\"\neffect_workers: 3\nevents_max: 5000\n",
                    "the configuration was reloaded"));
  CHECK(reload.With("log_level: \"info\"\neffect_workers: 3\ninstances_max: 7\n",
                    "instances_max is 7 instead of 1000"));
  CHECK(reload.Count("effect_workers has changed in the configuration; this needs a restart") == 2);
  CHECK(reload.Count("needs a restart") == 2);
  CHECK(reload.With("log_level: \"error\"\neffect_workers: 4\n", "needs a restart"));
  CHECK(reload.With("log_level: \"loud\"\n", "was not reloaded"));
  CHECK(reload.Count("the configuration was reloaded") == 2);  // That is no error.
  CHECK(reload.Answers());
  CHECK(reload.daemon.Terminate() == 0);
}

TEST_CASE("systemd is told of the start, the status, a reload and the end, and that it lives") {
  const NotifySocket systemd(absl::Seconds(2));
  Reloading reload;
  CHECK(systemd.Await("STATUS=Serving") == "STATUS=Serving 0 pools, 0 of 0 shadow pools active");
  CHECK(systemd.Await("READY=1") == "READY=1");
  CHECK(systemd.Await("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(reload.With("no_field: 1\n", "was not reloaded"));
  CHECK(systemd.Await("RELOADING=1\nMONOTONIC_USEC=") != "");
  CHECK(systemd.Await("READY=1") == "READY=1");
  CHECK(reload.daemon.Terminate() == 0);
  CHECK(systemd.Await("STOPPING=1") != "");
}

}  // namespace
}  // namespace shadow
