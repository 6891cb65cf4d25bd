// The wall clock is set while a daemon works, forward and back: no history is deleted, nothing
// stands still, requests that come again get their first answer, and the daemon says what it saw.
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "storage/store.h"
#include "tests/fault/clock_shim/offset.h"
#include "tests/fault/preloaded.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

using Usage = v1::UsageService::Stub;

constexpr double kLittle = 40;  // The base carries it.
constexpr double kMuch = 120;   // This takes two more instances.
constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kTenYears = absl::Hours(24 * 3652);

// Steps of a second, demand by pushed samples, nothing is kept suspended.
constexpr char kQuickPool[] = R"(
  step { seconds: 1 }
  season_lengths { seconds: 20 }
  policy {
    mode: AUTOMATIC
    sizing: REACTIVE
    stabilization_window { seconds: 2 }
    usage_max_age { seconds: 10 }
    provisioning_lead { seconds: 4 }
    activation_lead { seconds: 1 }
  })";

// Samples are kept for an hour, and all that is made of them for three.
constexpr char kShortRetention[] = R"(
  log_level: "info"
  sample_retention { seconds: 3600 }
  rollup_5m_retention { seconds: 7200 }
  rollup_1h_retention { seconds: 10800 }
  decision_retention { seconds: 3600 }
  event_retention { seconds: 3600 }
)";

class SettingClock {
 public:
  SettingClock()
      : world_({.base_instances = 1, .pool = kQuickPool, .bin_dir = clock_.bin_dir()}, false) {
    REQUIRE(daemon().Terminate() == 0);
    std::ofstream(daemon().directory() + "/shadowd.textproto") << kShortRetention;
    daemon().Start();
    world_.CreateDna();
    world_.CreatePool();
    world_.WaitForBase();
    CreateHistory();
    load_.emplace(world_.Load());
  }

  void Set(absl::Duration by) {
    INFO("the clock is set by " << by);
    const v1::CreateDnaRequest request = NextRequest();
    const auto first = Send(request);
    const size_t logged = daemon().Log().size();
    const InstanceProcesses living = BaseProcesses();
    clock_.shared().nanoseconds += absl::ToInt64Nanoseconds(by);
    tally_.Try();
    const bool back = by < absl::ZeroDuration();
    WaitFor("the condition says so", [&] {
      const v1::Condition condition = ClockSteady();
      return condition.status() == v1::Condition::FALSE &&
             condition.reason() == (back ? "SetBack" : "SetForward");
    });
    const std::string text = absl::StrCat("the wall clock was set ", back ? "back" : "forward",
                                          " by ", absl::FormatDuration(absl::AbsDuration(by)));
    CHECK(ClockSteady().message() == text);
    WaitFor("the log warns", [&] {
      return daemon().Log().find("warning: ClockSteady is FALSE", logged) != std::string::npos;
    });
    CHECK(CountEvents(text) >= 1);

    const auto again = Send(request);
    tally_.Fail(again.name() == first.name() &&
                        again.create_time().seconds() == first.create_time().seconds()
                    ? 0
                    : 1);
    CountEnded(daemon(), living, tally_);
    Follow();
  }

  // Those of the base. Demand and forecasts decide of the shadow's.
  InstanceProcesses BaseProcesses() {
    const InstanceProcesses all = daemon().TaggedProcesses();
    InstanceProcesses base;
    for (const v1::Instance& instance :
         world_.Instances(v1::Instance::BASE, v1::Instance::ACTIVE)) {
      const std::string id = instance.name().substr(instance.name().rfind('/') + 1);
      base[id] = all.at(id);
    }
    CHECK_FALSE(base.empty());
    return base;
  }

  // The retention looks at the clock at each start.
  void Restart() {
    CHECK(daemon().Terminate() == 0);
    daemon().Start();
    Follow();
  }

  void Finish() {
    CountLeaks(world_, tally_);
    CountFailures(*load_, tally_);
    CHECK(CountEvents("created") >= 2);  // Of both pools, at the beginning.
    FinishRow(world_, tally_);
    tally_.Note(std::ssize(reported_), "samples");
    CountLostSamples();
  }

 private:
  using Sample = std::pair<int64_t, int64_t>;  // Time in nanoseconds, value.

  DaemonProcess& daemon() { return world_.daemon(); }
  absl::Time Now() const {
    return absl::Now() + absl::Nanoseconds(clock_.shared().nanoseconds.load());
  }

  // Of 40 minutes, of the pool "side", which stays to the end.
  void CreateHistory() {
    v1::CreatePoolRequest request;
    request.mutable_pool()->set_name("pools/side");
    request.mutable_pool()->set_dna("dnas/web");
    request.mutable_pool()->set_external_capacity(100);
    request.mutable_pool()->set_instance_capacity(10);
    request.mutable_pool()->add_usage_sources()->mutable_pushed();
    ShadowWorld::Must(
        DaemonProcess::Call(daemon().pools(), &v1::PoolService::Stub::CreatePool, request));
    v1::ReportUsageBatchRequest history;
    for (int minutes = 40; minutes > 0; --minutes) {
      AddSample(history, Now() - absl::Minutes(minutes), minutes);
    }
    REQUIRE(ReportSide(history));
  }

  static void AddSample(v1::ReportUsageBatchRequest& request, absl::Time time, double value) {
    const int64_t nanos = absl::ToUnixNanos(time);
    v1::Sample& sample = *request.add_samples();
    sample.mutable_time()->set_seconds(nanos / 1'000'000'000);
    sample.mutable_time()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
    sample.set_value(value);
  }

  static Sample KeyOf(const v1::Sample& sample) {
    return {sample.time().seconds() * 1'000'000'000 + sample.time().nanos(),
            std::llround(sample.value())};
  }

  absl::Status Report(v1::ReportUsageBatchRequest request, const std::string& pool) {
    request.set_pool(pool);
    return DaemonProcess::Call(daemon().usage(), &Usage::ReportUsageBatch, request).status();
  }

  bool ReportSide(const v1::ReportUsageBatchRequest& request) {
    const absl::Status reported = Report(request, "pools/side");
    UNSCOPED_INFO(reported);
    if (!reported.ok()) return false;
    for (const v1::Sample& sample : request.samples()) reported_.insert(KeyOf(sample));
    return true;
  }

  // At most five times a second.
  void ReportDemand() {
    const absl::Duration now = clock_of_test_.Now().mono;
    if (now < next_report_) return;
    next_report_ = now + absl::Milliseconds(200);
    v1::ReportUsageBatchRequest request;
    AddSample(request, Now(), demand_);
    const absl::Status reported = Report(request, "pools/web");
    INFO(reported);
    CHECK(reported.ok());
    tally_.Fail((reported.ok() ? 0 : 1) + (ReportSide(request) ? 0 : 1));
  }

  // While demand is reported.
  template <typename F>
  void WaitFor(const std::string& what, F condition) {
    world_.WaitFor(what, [&] {
      ReportDemand();
      return condition();
    });
  }

  // Demand rises and falls, and the pool with it.
  void Follow() {
    for (const double demand : {kMuch, kLittle}) {
      demand_ = demand;
      const int wanted = demand == kMuch ? 2 : 0;
      WaitFor("demand is followed", [&] {
        return std::ssize(world_.Instances(v1::Instance::SHADOW, v1::Instance::ACTIVE)) == wanted;
      });
    }
  }

  v1::CreateDnaRequest NextRequest() {
    v1::CreateDnaRequest request;
    *request.mutable_dna() = world_.DnaSpec();
    request.mutable_dna()->set_name("dnas/d" + std::to_string(tally_.tried()));
    request.set_request_id("request-" + std::to_string(tally_.tried()));
    return request;
  }

  v1::Dna Send(const v1::CreateDnaRequest& request) {
    return ShadowWorld::Must(
        DaemonProcess::Call(daemon().dnas(), &v1::DnaService::Stub::CreateDna, request));
  }

  v1::Condition ClockSteady() {
    const auto status =
        DaemonProcess::Call(daemon().server(), &v1::ServerService::Stub::GetServerStatus, {});
    if (!status.ok()) return {};
    for (const v1::Condition& condition : status->conditions()) {
      if (condition.type() == "ClockSteady") return condition;
    }
    return {};
  }

  // Whose message has `text`.
  int64_t CountEvents(const std::string& text) {
    int64_t count = 0;
    v1::ListEventsRequest request;
    request.set_page_size(1000);
    do {
      const auto page = ShadowWorld::Must(
          DaemonProcess::Call(daemon().events(), &v1::EventService::Stub::ListEvents, request));
      for (const v1::Event& event : page.events()) {
        count += event.message().find(text) != std::string::npos ? 1 : 0;
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return count;
  }

  // Of the daemon that has ended.
  void CountLostSamples() {
    const auto store = Store::Open(daemon().state_dir(), {});
    INFO(store.status());
    REQUIRE(store.ok());
    const auto samples =
        (*store)->ReadSamples("pools/side", absl::InfinitePast(), absl::InfiniteFuture(),
                              absl::ZeroDuration(), 1'000'000);
    INFO(samples.status());
    REQUIRE(samples.ok());
    std::set<Sample> stored;
    for (const v1::Sample& sample : *samples) stored.insert(KeyOf(sample));
    for (const Sample& sample : reported_) tally_.Lose(stored.contains(sample) ? 0 : 1);
  }

  Tally tally_{"clock that is set", "jumps"};
  Preloaded<ClockOffset> clock_{SHADOW_CLOCK_SHIM, kClockVariable};
  SystemClock clock_of_test_;
  ShadowWorld world_;
  std::optional<HttpLoad> load_;
  double demand_ = kLittle;
  absl::Duration next_report_;
  std::set<Sample> reported_;
};

TEST_CASE("a clock that is set forward and back deletes nothing, holds up nothing, and is told") {
  SettingClock world;
  for (const absl::Duration jump : {absl::Hours(1), kDay, kTenYears}) {
    world.Set(jump);
    if (jump == kTenYears) world.Restart();
    world.Set(-jump);
    if (jump == kTenYears) world.Restart();
  }
  world.Finish();
}

}  // namespace
}  // namespace shadow
