// What every Prober keeps to; the fake and the real one pass the same cases.
#include <catch2/catch.hpp>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "server/core/clock.h"
#include "server/providers/http_prober.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/poll.h"
#include "tests/server/providers/small_server.h"

namespace shadow {
namespace {

// A prober, and the addresses of those that it may meet: `Ready` answers well, `ReadyLater` from
// the second request on, `Failing` answers, but not as expected, `Refusing` takes no connection,
// `Silent` does not answer within the DNA's timeouts, and `Hanging` never. `Asked`: how many probes
// of `Hanging` are under way or have ended.
class FakeProberWorld {
 public:
  FakeProberWorld() {
    FakeProber::Behaviour later;
    later.checks_until_ready = 1;
    prober_.Set(ReadyLater(), later);
    SetFailure(Failing(), absl::FailedPreconditionError("status 503"));
    SetFailure(Refusing(), absl::UnavailableError("connection refused"));
    SetFailure(Silent(), absl::DeadlineExceededError("no answer"));
    FakeProber::Behaviour hangs;
    hangs.hangs = true;
    prober_.Set(Hanging(), hangs);
  }

  Prober& prober() { return prober_; }
  static std::string Ready() { return "127.0.0.1:1"; }
  static std::string ReadyLater() { return "127.0.0.1:2"; }
  static std::string Failing() { return "127.0.0.1:3"; }
  static std::string Refusing() { return "127.0.0.1:4"; }
  static std::string Silent() { return "127.0.0.1:5"; }
  static std::string Hanging() { return "127.0.0.1:6"; }
  int Asked() const { return prober_.Checks(Hanging()) + prober_.WarmUps(Hanging()); }

 private:
  void SetFailure(const std::string& address, absl::Status warm_up) {
    FakeProber::Behaviour behaviour;
    behaviour.check = absl::UnavailableError("not ready");
    behaviour.warm_up = std::move(warm_up);
    prober_.Set(address, behaviour);
  }

  FakeProber prober_;
};

class HttpProberWorld {
 public:
  Prober& prober() { return prober_; }
  std::string Ready() const { return ready_.address(); }
  std::string ReadyLater() const { return later_.address(); }
  std::string Failing() const { return failing_.address(); }
  std::string Refusing() const { return closed_.address(); }
  std::string Silent() const { return silent_.address(); }
  std::string Hanging() const { return silent_.address(); }
  int Asked() const { return silent_.requests(); }

 private:
  SystemClock clock_;
  HttpProber prober_{clock_};
  SmallServer ready_{[](int) { return Response(200); }};
  SmallServer later_{[](int n) { return Response(n == 0 ? 503 : 200); }};
  SmallServer failing_{[](int) { return Response(503); }};
  SmallServer silent_{[](int) { return std::string(); }};
  ClosedPort closed_;
};

// A new prober is one more here.
using ProberWorlds = std::tuple<FakeProberWorld, HttpProberWorld>;

// With an HTTP check and two warm-up requests.
CompiledDna ProbedDna(absl::Duration warm_up_timeout = absl::Seconds(10)) {
  CompiledDna dna = HttpDna();
  *dna.dna.mutable_warm_up() = WarmUpDna(2).dna.warm_up();
  dna.warm_up_timeout = warm_up_timeout;
  return dna;
}

TEMPLATE_LIST_TEST_CASE("who cannot be reached or answers badly is not ready, try again", "",
                        ProberWorlds) {
  TestType world;
  for (const std::string& address : {world.Refusing(), world.Failing(), world.Silent()}) {
    INFO(address);
    CHECK(absl::IsUnavailable(world.prober().Check(ProbedDna(), address, {})));
  }
  CHECK(world.prober().Check(ProbedDna(), world.Ready(), {}).ok());
}

TEMPLATE_LIST_TEST_CASE("a ready check is one try", "", ProberWorlds) {
  TestType world;
  CHECK(absl::IsUnavailable(world.prober().Check(ProbedDna(), world.ReadyLater(), {})));
  CHECK(world.prober().Check(ProbedDna(), world.ReadyLater(), {}).ok());
}

TEMPLATE_LIST_TEST_CASE("the error of a warm-up tells a bad answer from none", "", ProberWorlds) {
  TestType world;
  const CompiledDna brief = ProbedDna(absl::Seconds(1));
  CHECK(absl::IsFailedPrecondition(world.prober().WarmUp(brief, world.Failing(), {})));
  CHECK(absl::IsUnavailable(world.prober().WarmUp(brief, world.Refusing(), {})));
  CHECK(absl::IsDeadlineExceeded(world.prober().WarmUp(brief, world.Silent(), {})));
  CHECK(world.prober().WarmUp(ProbedDna(), world.Ready(), {}).ok());
}

TEMPLATE_LIST_TEST_CASE("a warm-up that passes too slowly has failed", "", ProberWorlds) {
  TestType world;
  CompiledDna dna = ProbedDna();
  dna.warm_up_latency_max = absl::Nanoseconds(1);
  CHECK(absl::IsFailedPrecondition(world.prober().WarmUp(dna, world.Ready(), {})));
  CHECK(world.prober().Check(dna, world.Ready(), {}).ok());
  dna.warm_up_latency_max = absl::Hours(1);
  CHECK(world.prober().WarmUp(dna, world.Ready(), {}).ok());
}

TEMPLATE_LIST_TEST_CASE("a probe that waits for an answer ends when it is stopped", "",
                        ProberWorlds) {
  TestType world;
  const bool warm_up = GENERATE(true, false);
  CompiledDna patient = ProbedDna(absl::Minutes(10));
  patient.ready_timeout = absl::Minutes(10);
  const SystemClock clock;
  const absl::Duration before = clock.Now().mono;
  std::stop_source stop;
  std::jthread stopper([&] {
    PollUntil(kPatience, [&] { return world.Asked() > 0; });
    stop.request_stop();
  });
  const absl::Status status =
      warm_up ? world.prober().WarmUp(patient, world.Hanging(), stop.get_token())
              : world.prober().Check(patient, world.Hanging(), stop.get_token());
  CHECK(absl::IsCancelled(status));
  CHECK(clock.Now().mono - before < absl::Seconds(6));
}

}  // namespace
}  // namespace shadow
