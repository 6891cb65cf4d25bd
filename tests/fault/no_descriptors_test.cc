// A daemon that has no descriptor left still hears administrators.
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/fakes/program_run.h"
#include "tests/fault/hostile_reader.h"

namespace shadow {
namespace {

// Descriptors of the daemon that stand for what begins with `what`.
int64_t Descriptors(const DaemonProcess& daemon, const std::string& what) {
  const std::string directory = "/proc/" + std::to_string(daemon.pid()) + "/fd";
  int64_t count = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.starts_with(what)) ++count;
  }
  return count;
}

// A connection that stays: the daemon has heard that it is one.
TestSocket Idle(const DaemonProcess& daemon, uid_t uid) {
  TestSocket socket = http2::Connect(daemon.socket_path(), uid);
  http2::Send(socket, http2::Preface());
  return socket;
}

ProgramResult Status(const DaemonProcess& daemon) {
  return RunProgram({SHADOW_BIN_DIR "/shadowctl", "--address", daemon.address(), "status"});
}

TEST_CASE("while no descriptor is left, administrators are served and readers are not") {
  Tally tally("no descriptor left", "connections");
  DaemonProcess daemon(SHADOW_BIN_DIR);
  REQUIRE(daemon.Terminate() == 0);
  daemon.open_files_max = 64;
  daemon.Start();
  const auto spares = [&] { return Descriptors(daemon, "/dev/null"); };
  const int64_t all_spares = spares();
  std::vector<TestSocket> idle;
  while (spares() == all_spares) {
    const int64_t before = Descriptors(daemon, "socket:");
    idle.push_back(Idle(daemon, geteuid()));
    tally.Try();
    REQUIRE(PollUntil(kSoon, [&] { return Descriptors(daemon, "socket:") > before; }));
  }
  REQUIRE(spares() > 0);
  for (int i = 0; i < 3; ++i) {
    const ProgramResult status = Status(daemon);
    INFO(status.err);
    CHECK(status.exit_code == 0);
    tally.Fail(status.exit_code == 0 ? 0 : 1);
  }
  const bool root = geteuid() == 0;
  if (!root) WARN("only root can connect as somebody else");
  if (root) {
    const TestSocket reader = Idle(daemon, kReaderUid);
    CHECK(PollUntil(kSoon, [&] { return http2::Closed(reader); }));
  }
  idle.clear();
  CHECK(PollUntil(kSoon, [&] { return spares() == all_spares; }));
  tally.Leak(all_spares - spares());
  if (root) {
    const TestSocket reader = Idle(daemon, kReaderUid);
    std::string answer;
    CHECK(ReceiveMore(reader, answer));
  }
}

}  // namespace
}  // namespace shadow
