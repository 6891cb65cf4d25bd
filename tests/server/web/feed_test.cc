#include "server/web/feed.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "server/core/time_proto.h"
#include "server/web/feed_worker.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/one_provider.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using nlohmann::json;

// The feed of a running control thread over a real store, with a fake provider.
class FeedWorld {
 public:
  FeedWorld() {
    REQUIRE(loop_.Load(store_->Load().value(), clock_.Now()).ok());
    thread_ = std::thread([this] { control_.Run(); });
  }
  ~FeedWorld() {
    control_.Close();
    thread_.join();
  }
  FeedWorld(const FeedWorld&) = delete;
  FeedWorld& operator=(const FeedWorld&) = delete;

  // Waits until it is answered.
  absl::Status Ask(Request request) {
    const auto answer = std::make_shared<Box<absl::Status>>();
    const absl::Status posted = control_.Post(
        std::move(request), [answer](const Answer& given) { answer->Put(given.status()); });
    return posted.ok() ? answer->Take() : posted;
  }

  void AddPool(const std::string& name) {
    v1::CreateDnaRequest dna;
    dna.mutable_dna()->set_name("dnas/web");
    dna.mutable_dna()->mutable_process()->add_argv("/bin/true");
    (void)Ask(dna);  // Of the second pool: it is there.
    v1::CreatePoolRequest request;
    request.mutable_pool()->set_name(name);
    request.mutable_pool()->set_dna("dnas/web");
    request.mutable_pool()->set_external_capacity(100);
    request.mutable_pool()->set_instance_capacity(50);
    REQUIRE(Ask(request) == absl::OkStatus());
  }

  // So many samples, one a minute, up to now.
  void Report(const std::string& pool, int samples) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(pool);
    const absl::Time now = clock_.Now().wall;
    for (int i = samples; i > 0; --i) {
      v1::Sample& sample = *request.add_samples();
      *sample.mutable_time() = ToProto(now - absl::Minutes(i));
      sample.set_value(i % 60);
    }
    REQUIRE(Ask(request) == absl::OkStatus());
  }

  absl::StatusOr<FeedBody> Get(const std::string& target) {
    const auto answer = std::make_shared<Box<absl::StatusOr<FeedBody>>>();
    feed_.Get(target, [answer](absl::StatusOr<FeedBody> given) { answer->Put(std::move(given)); });
    return answer->Take();
  }
  json GetJson(const std::string& target) {
    const absl::StatusOr<FeedBody> body = Get(target);
    REQUIRE(body.status() == absl::OkStatus());
    REQUIRE(*body != nullptr);
    return json::parse(**body);
  }

  const Feed& feed() const { return feed_; }

 private:
  // Of one value, between two threads.
  template <typename T>
  class Box {
   public:
    void Put(T value) {
      const std::lock_guard lock(mutex_);
      value_ = std::make_unique<T>(std::move(value));
    }
    T Take() {
      REQUIRE(PollUntil(kPatience, [this] {
        const std::lock_guard lock(mutex_);
        return value_ != nullptr;
      }));
      return *std::move(value_);
    }

   private:
    std::mutex mutex_;
    std::unique_ptr<T> value_;
  };

  static Adapters FakeAdapters() {
    Adapters adapters;
    adapters.providers = ProvidersOf(std::make_unique<FakeProvider>());
    adapters.prober = std::make_unique<FakeProber>();
    adapters.make_balancer = [](const v1::Pool&) { return nullptr; };
    adapters.make_usage_source = [](const v1::Pool&, const v1::UsageSource&) { return nullptr; };
    return adapters;
  }

  const TempDirectory directory_;
  const std::unique_ptr<Store> store_ = OpenStore(directory_.path());
  SystemClock clock_;
  Adapters adapters_ = FakeAdapters();
  ControlLoop loop_{ControlLoop::Options{}};
  EventHub hub_{0};
  ControlThread control_{loop_, *store_, adapters_, hub_, clock_, 2, [](const absl::Status&) {}};
  FeedWorker worker_;
  Feed feed_{{.control = control_,
              .store = *store_,
              .clock = clock_,
              .start_time = clock_.Now().wall,
              .version = "1.2.3",
              .run = worker_.poster()}};
  std::thread thread_;
};

}  // namespace

TEST_CASE("the feed shows a pool's state, its past and its coming day") {
  FeedWorld world;
  world.AddPool("pools/web");
  world.Report("pools/web", 180);
  const json state = world.GetJson("state?limit=100");
  CHECK(state["pools_total"] == 1);
  CHECK(state["pools"][0]["external_capacity"] == 100);
  CHECK(world.GetJson("pools/web")["step_s"] == 60);
  const json chart = world.GetJson("pools/web/chart");
  CHECK(chart["error"] == "");
  CHECK(chart["history"].size() >= 179);
  CHECK(chart["forecast"]["points"].size() == 1440);
  CHECK(chart["forecast"]["quantiles"].size() == 6);
  CHECK(chart["capacity"].size() >= 1);
  CHECK(world.GetJson("pools/web/spark")["points"].size() > 50);
  const json log = world.GetJson("pools/web/log");
  CHECK(!log["events"].empty());
  for (const json& event : log["events"]) CHECK(event["kind"] != "DECIDED");
}

TEST_CASE("the feed of a pool without usage says so") {
  FeedWorld world;
  world.AddPool("pools/quiet");
  const json chart = world.GetJson("pools/quiet/chart");
  CHECK(chart["error"] != "");
  CHECK(chart["history"].empty());
  CHECK(chart["last"].is_null());
  CHECK(world.GetJson("pools/quiet/spark")["points"].empty());
}

TEST_CASE("the feed has nothing at any other name") {
  FeedWorld world;
  world.AddPool("pools/web");
  for (const std::string target :
       {"", "state/x", "pools", "pools/", "pools/none", "pools/web/", "pools/web/none",
        "pools/web/chart/", "pools/../web", "pools/web%2Fchart", "pools/WEB/chart"}) {
    INFO(target);
    const auto body = world.Get(target);
    REQUIRE(body.ok());
    CHECK(*body == nullptr);
  }
}

TEST_CASE("a number of pools that makes no sense is a default or a limit") {
  FeedWorld world;
  for (const std::string query : {"?limit=", "?limit=-1", "?limit=0", "?limit=99999999999999999999",
                                  "?limit=x", "?other", "?limit=1000000"}) {
    INFO(query);
    CHECK(world.GetJson("state" + query)["pools_total"] == 0);
  }
}

TEST_CASE("a chart is made once for all who look at it") {
  FeedWorld world;
  world.AddPool("pools/web");
  world.Report("pools/web", 5);
  const auto first = world.Get("pools/web/chart");
  const auto second = world.Get("pools/web/chart");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(*first == *second);  // The same bytes, not equal ones.
}

TEST_CASE("the stream greets, and then names what has changed") {
  FeedWorld world;
  world.AddPool("pools/web");
  Feed::Stream stream(world.feed());
  const std::string hello = stream.Next();
  CHECK(hello.starts_with("event: hello\n"));
  CHECK(hello.find("\"version\":\"1.2.3\"") != std::string::npos);
  std::string change;
  world.AddPool("pools/other");
  REQUIRE(PollUntil(kPatience, [&] {
    change += stream.Next();
    return change.find("\"other\"") != std::string::npos;
  }));
  CHECK(change.starts_with("event: change\n"));
}

}  // namespace shadow
