// Frames, messages, and requests that nobody of good will sends.
#include <google/protobuf/stubs/logging.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <utility>

#include "server/core/error.h"
#include "server/units/protocol/frame.h"
#include "server/units/protocol/messages.h"
#include "tests/fakes/random_seed.h"
#include "tests/server/units/gate/gate_world.h"

namespace shadow {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(30);

struct ChannelPair {
  ChannelPair() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    ours = std::make_unique<FrameChannel>(fds[0], clock);
    theirs = std::make_unique<FrameChannel>(fds[1], clock);
  }
  void SendRaw(const std::string& bytes) const {
    REQUIRE(send(theirs->fd(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
  }
  absl::StatusOr<std::string> Received() const { return ours->Receive(kSoon, kSoon); }

  SystemClock clock;
  std::unique_ptr<FrameChannel> ours;
  std::unique_ptr<FrameChannel> theirs;
};

TEST_CASE("a frame arrives as it was sent") {
  const ChannelPair pair;
  for (const std::string& message : {std::string("x"), std::string(), std::string(5000, '\0')}) {
    REQUIRE(pair.theirs->Send(message, kSoon).ok());
    const auto received = pair.Received();
    REQUIRE(received.ok());
    CHECK(*received == message);
  }
  CHECK(FrameHead(0x00012345) == std::string("\x00\x01\x23\x45", 4));
  CHECK(*FrameLength(FrameHead(kFrameMaxBytes)) == kFrameMaxBytes);
  CHECK_FALSE(FrameLength(FrameHead(kFrameMaxBytes + 1)).ok());
  CHECK_FALSE(FrameLength("\x01\x02").ok());
}

TEST_CASE("a frame that is too long is refused by its head, on both sides") {
  const ChannelPair pair;
  CHECK(absl::IsInvalidArgument(pair.ours->Send(std::string(kFrameMaxBytes + 1, 'x'), kSoon)));
  for (const char* head : {"\x00\x10\x00\x01", "\xff\xff\xff\xff", "GET "}) {
    const ChannelPair other;
    other.SendRaw(std::string(head, 4));
    CHECK(absl::IsInvalidArgument(other.Received().status()));
  }
}

TEST_CASE("a frame that stops in the middle has a deadline") {
  const ChannelPair pair;
  CHECK(absl::IsDeadlineExceeded(pair.Received().status()));  // None has begun.
  for (const std::string& part : {std::string("\0\0", 2), FrameHead(10) + "half"}) {
    const ChannelPair half;
    half.SendRaw(part);
    CHECK(absl::IsDeadlineExceeded(half.Received().status()));
    const ChannelPair gone;
    gone.SendRaw(part);
    gone.theirs->HangUp();
    CHECK(absl::IsUnavailable(gone.Received().status()));
  }
  pair.theirs->HangUp();
  CHECK(absl::IsNotFound(pair.Received().status()));
}

TEST_CASE("a peer that does not read holds nobody up") {
  const ChannelPair pair;
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = pair.ours->Send(std::string(kFrameMaxBytes, 'x'), kSoon);
  }
  CHECK(absl::IsDeadlineExceeded(status));
}

TEST_CASE("what is asked and answered has the same meaning on both sides") {
  const UnitSpec unit = GateSpec();
  const UnitSpec back = SpecOf(StartRequest(unit));
  CHECK(std::tie(back.id, back.pool, back.shadow, back.store_id, back.epoch, back.revision_name,
                 back.port) == std::tie(unit.id, unit.pool, unit.shadow, unit.store_id, unit.epoch,
                                        unit.revision_name, unit.port));
  CHECK(back.dna.SerializeAsString() == unit.dna.SerializeAsString());
  for (const absl::Status& status :
       {absl::OkStatus(), FieldError("dna.x", "is bad"), absl::NotFoundError("gone"),
        ReasonError(absl::StatusCode::kAborted, "BUSY", "later"),
        FieldError("dna.y", "no", absl::StatusCode::kFailedPrecondition)}) {
    const absl::Status same = StatusOf(StatusReply(status));
    CHECK(same == status);
    CHECK(ErrorField(same) == ErrorField(status));
    CHECK(ErrorReason(same) == ErrorReason(status));
  }
  v1::UnitsReply odd;
  odd.set_code(99);
  CHECK(absl::IsInternal(StatusOf(odd)));
}

TEST_CASE("a view has the same meaning on both sides, and a list as many replies as it takes") {
  UnitView view;
  view.id = "i1";
  view.active_state = "failed";
  view.sub_state = "failed";
  view.result = "oom-kill";
  view.exec_main_code = 2;
  view.exec_main_status = 9;
  view.control_group = std::string(1000, 'x');
  view.missing_controllers = {"cpu", "memory"};
  view.reclaimed = {.before_bytes = 200, .after_bytes = 10, .swap = true};
  const UnitView same = ViewOf(ViewMessage(view));
  CHECK(same.sub_state == view.sub_state);
  CHECK(same.result == view.result);
  CHECK(same.exec_main_code == 2);
  CHECK(same.exec_main_status == 9);
  CHECK(same.missing_controllers == view.missing_controllers);
  CHECK(same.reclaimed == view.reclaimed);
  CHECK_FALSE(ViewOf(ViewMessage(UnitView())).reclaimed.has_value());
  const auto replies = ListReplies(std::vector<UnitView>(1000, view));
  CHECK(replies.size() > 1);
  int units = 0;
  for (const v1::UnitsReply& reply : replies) {
    CHECK(reply.ByteSizeLong() <= kFrameMaxBytes);
    CHECK(reply.more() == (&reply != &replies.back()));
    units += reply.units_size();
  }
  CHECK(units == 1000);
  CHECK(ListReplies({}).size() == 1);
}

// A valid request of each kind.
std::vector<std::string> GoodRequests() {
  std::vector<std::string> requests = {StartRequest(GateSpec()).SerializeAsString()};
  for (const char* call :
       {R"(suspend { id: "i1" })", R"(resume { id: "i1" })", R"(stop { id: "i1" force: true })",
        R"(get { id: "i1" })", "list {}", R"(signal { id: "i1" signal: 10 })", "listen {}"}) {
    requests.push_back(
        FromText<v1::UnitsRequest>(std::string(call) + " store: \"s\"").SerializeAsString());
  }
  return requests;
}

TEST_CASE("damaged requests are answered, and start nothing that the policy refuses") {
  std::mt19937_64 random(RandomSeed());
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  GateWorld world;
  google::protobuf::SetLogHandler(nullptr);  // It tells of each string that is no UTF-8.
  const std::vector<std::string> good = GoodRequests();
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good[below(good.size())];
    for (size_t changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + below(8));
          break;
        case 2:
          bytes.insert(at, bytes.substr(below(bytes.size()), below(16)));
          break;
        case 3:
          bytes.resize(at);
          break;
      }
    }
    const auto replies = world.gate.Answer(bytes);
    REQUIRE_FALSE(replies.empty());
  }
  for (const UnitSpec& unit : world.behind.started) {
    REQUIRE(CheckPolicy(*world.policy, unit, kGateDaemon).ok());
  }
}

}  // namespace
}  // namespace shadow
