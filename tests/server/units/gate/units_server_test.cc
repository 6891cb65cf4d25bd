// The socket of shadowd-units and the daemon's end of it, on loopback units.
#include "server/units/gate/units_server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "server/core/error.h"
#include "server/units/privileged_units.h"
#include "tests/fakes/poll.h"
#include "tests/server/units/gate/gate_world.h"

namespace shadow {
namespace {

sockaddr_un AddressAt(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// A socket in a folder of its own, and a server on it where one is started.
class ServerWorld : public GateWorld {
 public:
  ServerWorld() {
    std::string folder = std::filesystem::temp_directory_path() / "shadowd-gate-XXXXXX";
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    options.allowed_uid = geteuid();
    options.frame_time = absl::Milliseconds(200);
    options.log = [this](const std::string& line) {
      const std::lock_guard lock(log_mutex);
      log.push_back(line);
    };
  }
  ~ServerWorld() {
    Stop();
    std::filesystem::remove_all(folder_);
  }

  std::string path() const { return folder_ + "/socket"; }

  void Serve() {
    unlink(path().c_str());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_un address = AddressAt(path());
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd, 4096) == 0);
    server = std::make_unique<UnitsServer>(fd, gate, clock, options);
    ended = std::async(std::launch::async, [this] { return server->Run(); });
  }
  void Stop() {
    if (server == nullptr) return;
    server->Stop();
    CHECK(ended.get().ok());
    server = nullptr;
  }

  std::unique_ptr<FrameChannel> Connect() {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressAt(path());
    REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    return std::make_unique<FrameChannel>(fd, clock);
  }

  // The answer to `bytes`; unset: it was hung up.
  std::optional<v1::UnitsReply> Ask(FrameChannel& channel, const std::string& bytes) {
    if (!channel.Send(bytes, kPatience).ok()) return std::nullopt;
    const auto answer = channel.Receive(kPatience, kPatience);
    v1::UnitsReply reply;
    if (!answer.ok() || !reply.ParseFromString(*answer)) return std::nullopt;
    return reply;
  }

  PrivilegedUnits::Options Daemon() const {
    return {.socket_path = path(), .store_id = GateSpec().store_id, .call_time = kPatience};
  }

  SystemClock clock;
  UnitsServer::Options options;
  std::mutex log_mutex;
  std::vector<std::string> log;
  std::unique_ptr<UnitsServer> server;
  std::future<absl::Status> ended;

 private:
  std::string folder_;
};

std::string ListRequest() {
  return FromText<v1::UnitsRequest>("store: \"s\" list {}").SerializeAsString();
}

TEST_CASE("the daemon's end does to units what the seam says") {
  ServerWorld world;
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  REQUIRE(units.Start(GateSpec()) == absl::OkStatus());
  CHECK(units.Suspend("i1").ok());
  CHECK(units.Resume("i1", GateSpec().dna).ok());
  CHECK(units.Signal("i1", 10).ok());
  CHECK(units.Stop("i1", false).ok());
  CHECK(units.Stop("i1", true).ok());
  CHECK(units.Forget("i1").ok());
  CHECK(world.behind.calls == std::vector<std::string>{"suspend i1", "resume i1 dnas/web",
                                                       "signal i1 10", "stop i1", "kill i1",
                                                       "forget i1"});
  const auto view = units.Get("i1");
  REQUIRE(view.ok());
  REQUIRE(view->has_value());
  CHECK((*view)->epoch == GateSpec().epoch);
  CHECK((*view)->missing_controllers == std::vector<std::string>{"cpu"});
  const auto none = units.Get("i2");
  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
  CHECK(units.List()->size() == 1);
}

TEST_CASE("a list of 20000 units comes whole") {
  ServerWorld world;
  for (int i = 0; i < 20'000; ++i) {
    UnitView view;
    view.id = "i" + std::to_string(i);
    view.control_group = "/shadow.slice/shadow-web.slice/shadow-0123abcd-" + view.id + ".service";
    world.behind.units[view.id] = view;
  }
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  const auto all = units.List();
  REQUIRE(all.ok());
  CHECK(all->size() == 20'000);
}

TEST_CASE("a refusal names its field at the daemon's end too") {
  ServerWorld world;
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  UnitSpec unit = GateSpec();
  unit.dna.mutable_security()->add_capabilities("CAP_SYS_ADMIN");
  const absl::Status refused = units.Start(unit);
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(ErrorField(refused) == "dna.security.capabilities[0]");
  for (const char* id : {"../i1", "i1.service", "", "*"}) {
    CHECK(ErrorField(units.Stop(id, true)) == "id");
    CHECK(ErrorField(units.Get(id).status()) == "id");
  }
  CHECK(ErrorField(units.Signal("i1", 0)) == "signal");
  CHECK(ErrorField(units.Signal("i1", 64)) == "signal");
  v1::Dna more = GateSpec().dna;
  more.mutable_resources()->set_memory_max_bytes(int64_t{1} << 40);
  CHECK(ErrorField(units.Resume("i1", more)) == "dna.resources.memory_max_bytes");
  world.paths =
      FieldError("dna.data_sets[0].source", "is a link", absl::StatusCode::kFailedPrecondition);
  CHECK(ErrorField(units.Start(GateSpec())) == "dna.data_sets[0].source");
  CHECK(world.behind.started.empty());
  CHECK(world.behind.calls.empty());
}

TEST_CASE("there are no more units than the policy says, but one that is there is started again") {
  ServerWorld world;
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  for (const char* id : {"i1", "i2", "i3"}) REQUIRE(units.Start(GateSpec(id)).ok());
  CHECK(absl::IsResourceExhausted(units.Start(GateSpec("i4"))));
  CHECK(units.Start(GateSpec("i3")).ok());
}

TEST_CASE("without a policy that root alone can write nothing is served") {
  ServerWorld world;
  const auto good = world.policy;
  world.policy = absl::FailedPreconditionError("/etc/x can be written by others than root");
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  CHECK(absl::IsUnavailable(units.Start(GateSpec())));
  CHECK(absl::IsUnavailable(units.Stop("i1", true)));
  CHECK(absl::IsUnavailable(units.List().status()));
  CHECK(world.behind.started.empty());
  world.Stop();
  world.policy = good;
  world.Serve();
  CHECK(units.Start(GateSpec()).ok());
}

TEST_CASE("another user is hung up on before anything is read") {
  ServerWorld world;
  world.options.allowed_uid = geteuid() + 1;
  world.Serve();
  const auto channel = world.Connect();
  CHECK_FALSE(world.Ask(*channel, ListRequest()).has_value());
  CHECK(PollUntil(kPatience, [&] {
    const std::lock_guard lock(world.log_mutex);
    return !world.log.empty();
  }));
}

TEST_CASE("a connection that sends nonsense, half a frame or nothing is closed, others go on") {
  ServerWorld world;
  world.options.idle_time = absl::Seconds(1);
  world.Serve();
  for (const std::string& bytes : {FrameHead(kFrameMaxBytes + 1), FrameHead(100) + "half",
                                   std::string("\0", 1), std::string()}) {
    const auto channel = world.Connect();
    if (!bytes.empty()) REQUIRE(send(channel->fd(), bytes.data(), bytes.size(), 0) > 0);
    CHECK_FALSE(channel->Receive(kPatience, kPatience).ok());
  }
  const auto channel = world.Connect();
  const auto nonsense = world.Ask(*channel, "\xff\xff\xff");
  REQUIRE(nonsense.has_value());
  CHECK(nonsense->code() == static_cast<int>(absl::StatusCode::kInvalidArgument));
  const auto listed = world.Ask(*channel, ListRequest());
  REQUIRE(listed.has_value());
  CHECK(listed->code() == 0);
}

TEST_CASE("of 500 connections a few are kept, and when they are gone others are served") {
  ServerWorld world;
  world.Serve();
  std::vector<std::unique_ptr<FrameChannel>> flood;
  for (int i = 0; i < 500; ++i) flood.push_back(world.Connect());
  const auto kept = [&] {
    return std::count_if(flood.begin(), flood.end(), [](const auto& channel) {
      char byte = 0;
      return recv(channel->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
    });
  };
  CHECK(PollUntil(kPatience, [&] { return kept() == UnitsServer::kConnectionsMax; }));
  flood.clear();
  CHECK(
      PollUntil(kPatience, [&] { return world.Ask(*world.Connect(), ListRequest()).has_value(); }));
}

TEST_CASE("the daemon's end connects again after the helper has ended") {
  ServerWorld world;
  PrivilegedUnits units(world.Daemon(), world.clock);
  CHECK(absl::IsUnavailable(units.Start(GateSpec())));
  world.Serve();
  CHECK(units.Start(GateSpec()).ok());
  world.Stop();
  CHECK(absl::IsUnavailable(units.Suspend("i1")));
  world.Serve();
  CHECK(units.Suspend("i1").ok());
  world.Stop();
  world.Serve();
  CHECK(units.Suspend("i1").ok());  // The connection that it kept is dead.
}

TEST_CASE("a call that takes too long is given up") {
  std::promise<void> go_on;
  ServerWorld world;
  world.behind.on_start = [&] { go_on.get_future().wait(); };
  world.Serve();
  auto options = world.Daemon();
  options.call_time = absl::Milliseconds(100);
  PrivilegedUnits units(options, world.clock);
  CHECK(absl::IsUnavailable(units.Start(GateSpec())));
  go_on.set_value();
}

TEST_CASE("changes of units are told, also after the helper has ended") {
  ServerWorld world;
  world.Serve();
  PrivilegedUnits units(world.Daemon(), world.clock);
  std::mutex mutex;
  std::vector<std::string> changed;
  units.Listen([&](std::string_view id) {
    const std::lock_guard lock(mutex);
    changed.emplace_back(id);
  });
  const auto told = [&](const std::string& id) {
    return PollUntil(kPatience, [&] {
      {
        const std::lock_guard lock(world.behind.mutex);
        if (world.behind.on_change) world.behind.on_change(id);
      }
      const std::lock_guard lock(mutex);
      return std::find(changed.begin(), changed.end(), id) != changed.end();
    });
  };
  CHECK(told("i1"));
  world.Stop();
  world.Serve();
  CHECK(told("i2"));
}

TEST_CASE("without a connection the helper ends after a while") {
  ServerWorld world;
  world.options.alone_time = absl::Milliseconds(50);
  world.Serve();
  REQUIRE(world.ended.wait_for(absl::ToChronoSeconds(kPatience)) == std::future_status::ready);
  CHECK(world.ended.get().ok());
  world.server = nullptr;
}

}  // namespace
}  // namespace shadow
