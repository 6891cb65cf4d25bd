#include "server/usage/haproxy_usage.h"

#include <catch2/catch.hpp>
#include <mutex>

#include "server/core/time_proto.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_load.h"
#include "tests/fakes/http_origin.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/unix_peer.h"

namespace shadow {
namespace {

// Stands still until it is moved. One thread.
class SteppedClock final : public Clock {
 public:
  Instant Now() const override { return now_; }
  void WaitUntil(std::unique_lock<std::mutex>&, std::condition_variable&,
                 absl::Duration mono) override {
    now_.mono = std::max(now_.mono, mono);
  }
  void Advance(absl::Duration duration) {
    now_.wall += duration;
    now_.mono += duration;
  }

 private:
  Instant now_ = {.wall = absl::FromUnixSeconds(1'700'000'000), .mono = absl::Seconds(10)};
};

// A HAProxy that says what it is told.
struct Script {
  std::string Reply() {
    const std::lock_guard lock(mutex);
    return "# pxname,svname,stot,req_tot,mode\nfront,FRONTEND," + std::to_string(sessions) + "," +
           requests + ",http\n\nPid: " + std::to_string(pid) + "\nStart_time_sec: 1\n\n";
  }
  void Set(int64_t new_pid, std::string new_requests, int64_t new_sessions) {
    const std::lock_guard lock(mutex);
    pid = new_pid;
    requests = std::move(new_requests);
    sessions = new_sessions;
  }
  std::mutex mutex;
  int64_t pid = 1;
  std::string requests = "1200";
  int64_t sessions = 100;
};

struct ScriptedUsage {
  explicit ScriptedUsage(v1::HaproxyUsage::Metric metric)
      : peer([this](const UnixPeer&, const TestSocket& socket, const std::string&) {
          SendAll(socket, script.Reply());
        }),
        usage(Spec(metric), clock) {}

  v1::HaproxyUsage Spec(v1::HaproxyUsage::Metric metric) const {
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer.path());
    spec.set_frontend("front");
    spec.set_metric(metric);
    return spec;
  }
  // Rates only.
  std::vector<double> Read() {
    const auto reading = usage.Read("web", absl::InfinitePast());
    REQUIRE(reading.ok());
    std::vector<double> rates;
    for (const v1::Sample& sample : reading->samples) rates.push_back(sample.value());
    return rates;
  }

  Script script;
  SteppedClock clock;
  UnixPeer peer;
  HaproxyUsage usage;
};

using Rates = std::vector<double>;

TEST_CASE("1200 and then 1500 requests 2.5 s later are 120/s, stamped with the second read") {
  ScriptedUsage site(v1::HaproxyUsage::METRIC_UNSPECIFIED);
  CHECK(site.Read().empty());
  site.script.Set(1, "1500", 100);
  site.clock.Advance(absl::Milliseconds(2500));
  const auto reading = site.usage.Read("web", absl::InfinitePast());
  REQUIRE(reading.ok());
  REQUIRE(reading->samples.size() == 1);
  CHECK(reading->samples[0].value() == 120);
  CHECK(FromProto(reading->samples[0].time()) == site.clock.Now().wall);
}

TEST_CASE("sessions are counted where they are asked for") {
  ScriptedUsage site(v1::HaproxyUsage::SESSIONS);
  CHECK(site.Read().empty());
  site.script.Set(1, "", 130);
  site.clock.Advance(absl::Seconds(10));
  CHECK(site.Read() == Rates{3});
}

TEST_CASE("no requests are a rate of zero: that is known") {
  ScriptedUsage site(v1::HaproxyUsage::REQUESTS);
  CHECK(site.Read().empty());
  site.clock.Advance(absl::Seconds(1));
  CHECK(site.Read() == Rates{0});
}

TEST_CASE("a restart gives no sample, whether the counter fell or already passed the old value") {
  for (const char* after : {"10", "5000"}) {
    ScriptedUsage site(v1::HaproxyUsage::REQUESTS);
    CHECK(site.Read().empty());
    site.clock.Advance(absl::Seconds(1));
    site.script.Set(2, after, 1);
    CHECK(site.Read().empty());
    site.clock.Advance(absl::Seconds(2));
    site.script.Set(2, std::to_string(std::stoi(after) + 8), 1);
    CHECK(site.Read() == Rates{4});
  }
}

TEST_CASE("a counter that fell within one process gives no sample either") {
  ScriptedUsage site(v1::HaproxyUsage::REQUESTS);
  CHECK(site.Read().empty());
  site.clock.Advance(absl::Seconds(1));
  site.script.Set(1, "0", 0);  // `clear counters all`
  CHECK(site.Read().empty());
}

TEST_CASE("reads in quick succession wait for a longer interval instead of a wild rate") {
  ScriptedUsage site(v1::HaproxyUsage::REQUESTS);
  CHECK(site.Read().empty());
  site.script.Set(1, "1201", 100);
  site.clock.Advance(absl::Milliseconds(1));
  CHECK(site.Read().empty());
  site.clock.Advance(absl::Milliseconds(999));
  CHECK(site.Read() == Rates{1});
}

TEST_CASE("a frontend without a count, and garbage, are errors and no sample") {
  ScriptedUsage site(v1::HaproxyUsage::REQUESTS);
  site.script.Set(1, "", 5);
  CHECK(site.usage.Read("web", absl::InfinitePast()).status().code() ==
        absl::StatusCode::kFailedPrecondition);
  for (const char* text : {"", "garbage\n\n\n", "# pxname,svname,stot\n\nPid: 1\n\n",
                           "# pxname,svname,req_tot,mode\nfront,FRONTEND,5,http\n\nno pid\n\n"}) {
    INFO(text);
    const UnixPeer peer(UnixPeer::Answer(text));
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer.path());
    spec.set_frontend("front");
    CHECK_FALSE(HaproxyUsage(spec, site.clock).Read("web", absl::InfinitePast()).ok());
  }
}

// What a scripted HAProxy counts at frontends "http" and "https" and the backend "web".
std::string ThreeProxies(int64_t http, int64_t https, int64_t web) {
  return "# pxname,svname,stot,req_tot,mode\nhttp,FRONTEND,1," + std::to_string(http) +
         ",http\nhttps,FRONTEND,1," + std::to_string(https) +
         ",http\nweb,FRONTEND,1,900,http\nweb," + "BACKEND," + std::to_string(web) +
         ",7,http\n\nPid: 1\n\n";
}

TEST_CASE("the arrivals at all that is named add up, and a counter that fell gives no sample") {
  std::mutex mutex;
  std::string reply = ThreeProxies(1200, 300, 50);
  const UnixPeer peer([&](const UnixPeer&, const TestSocket& socket, const std::string&) {
    const std::lock_guard lock(mutex);
    SendAll(socket, reply);
  });
  v1::HaproxyUsage spec;
  spec.set_socket_path(peer.path());
  spec.set_frontend("http");
  spec.add_frontends("https");
  spec.set_backend("web");
  SteppedClock clock;
  HaproxyUsage usage(spec, clock);
  const auto read = [&](const std::string& next) {
    {
      const std::lock_guard lock(mutex);
      reply = next;
    }
    clock.Advance(absl::Seconds(10));
    const auto reading = usage.Read("web", absl::InfinitePast());
    REQUIRE(reading.ok());
    Rates rates;
    for (const v1::Sample& sample : reading->samples) rates.push_back(sample.value());
    return rates;
  };
  CHECK(read(ThreeProxies(1200, 300, 50)).empty());
  CHECK(read(ThreeProxies(1500, 340, 60)) == Rates{35});  // (300 + 40 + 10) / 10 s
  CHECK(read(ThreeProxies(9500, 2, 60)).empty());         // The sum has grown all the same.
  CHECK(read(ThreeProxies(9510, 2, 60)) == Rates{1});
}

TEST_CASE("one that is missing among several is an error, not a smaller sum") {
  const UnixPeer peer(UnixPeer::Answer(ThreeProxies(1, 1, 1)));
  SteppedClock clock;
  for (const char* field : {"frontends", "backends"}) {
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer.path());
    spec.set_frontend("http");
    (std::string_view(field) == "frontends" ? spec.add_frontends() : spec.add_backends())
        ->assign("shop");
    const absl::Status status =
        HaproxyUsage(spec, clock).Read("web", absl::InfinitePast()).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()).find("\"shop\"") != std::string::npos);
  }
  v1::HaproxyUsage none;
  none.set_socket_path(peer.path());
  CHECK(HaproxyUsage(none, clock).Read("web", absl::InfinitePast()).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

// Measured on HAProxy 2.6.12: req_tot of a backend grows when a request was answered, stot at once,
// and by one however often it is retried.
TEST_CASE("a real HAProxy: a backend's requests count as they come, answered or not") {
  for (const auto metric : {v1::HaproxyUsage::REQUESTS, v1::HaproxyUsage::SESSIONS}) {
    HttpOrigin origin("base");
    HaproxyProcess haproxy({.check = "", .base_server = origin.address()});
    v1::HaproxyUsage spec;
    spec.set_socket_path(haproxy.socket_path());
    spec.set_backend("web");
    spec.set_metric(metric);
    SteppedClock clock;
    HaproxyUsage usage(spec, clock);
    const auto read = [&] {
      clock.Advance(absl::Seconds(1));
      const auto reading = usage.Read("web", absl::InfinitePast());
      REQUIRE(reading.ok());
      return reading->samples.empty() ? -1 : reading->samples[0].value();
    };
    REQUIRE(read() == -1);

    origin.SetFrozen(true);
    constexpr int kRequests = 5;
    std::vector<TestSocket> clients;
    for (int i = 0; i < kRequests; ++i) {
      clients.push_back(ConnectToLoopback(haproxy.frontend_port(), 10));
      REQUIRE(SendAll(clients.back(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    // HAProxy may ask the origin again where that is slow.
    REQUIRE(PollUntil(kPatience, [&] { return origin.requests() >= kRequests; }));
    CHECK(read() == kRequests);
    origin.SetFrozen(false);
    for (const TestSocket& client : clients) {
      std::string answer;
      REQUIRE(ReceiveMore(client, answer));
    }
    CHECK(read() == 0);

    HttpClient client(haproxy.frontend_port());  // All on one connection.
    for (int i = 0; i < kRequests; ++i) REQUIRE(client.Get("/"));
    CHECK(read() == kRequests);
    origin.Stop();
    const int64_t before = client.reconnects();
    constexpr int kFailing = 2;
    for (int i = 0; i < kFailing; ++i) client.Get("/");  // 503, after 3 s of retries each.
    // One that met a server connection which was just closed comes a second time, as a new request.
    CHECK(read() == static_cast<double>(kFailing + client.reconnects() - before));
    haproxy.Restart();
    CHECK(read() == -1);
  }
}

TEST_CASE("a real HAProxy: arrivals, also those that get no good answer") {
  SystemClock clock;
  HaproxyProcess haproxy;  // No server at all: every request is answered 503.
  v1::HaproxyUsage spec;
  spec.set_socket_path(haproxy.socket_path());
  spec.set_frontend("front");
  HaproxyUsage usage(spec, clock);
  HttpClient client(haproxy.frontend_port());
  REQUIRE(client.Get("/"));

  const absl::Duration begin = clock.Now().mono;
  REQUIRE(usage.Read("web", absl::InfinitePast())->samples.empty());
  constexpr int kRequests = 40;
  for (int i = 0; i < kRequests; ++i) REQUIRE(client.Get("/"));
  std::vector<v1::Sample> samples;
  REQUIRE(PollUntil(kPatience, [&] {
    samples = usage.Read("web", absl::InfinitePast())->samples;
    return !samples.empty();
  }));
  const double seconds = absl::ToDoubleSeconds(clock.Now().mono - begin);
  CHECK(samples[0].value() >= kRequests / seconds);
  CHECK(samples[0].value() <= kRequests / 0.1 + 1);

  haproxy.Restart();
  CHECK(usage.Read("web", absl::InfinitePast())->samples.empty());
}

TEST_CASE("a real HAProxy: a TCP frontend has no requests, which is an error, and has sessions") {
  SystemClock clock;
  const int port = FreeLoopbackPort();
  HaproxyProcess haproxy(
      {.more = "frontend plain\n  mode tcp\n  bind 127.0.0.1:" + std::to_string(port) +
               "\n  default_backend plain\nbackend plain\n  mode tcp\n"});
  v1::HaproxyUsage spec;
  spec.set_socket_path(haproxy.socket_path());
  spec.set_frontend("plain");
  HaproxyUsage requests(spec, clock);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = requests.Read("web", absl::InfinitePast()).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()) ==
          "haproxy socket " + haproxy.socket_path() +
              ": frontend \"plain\" is in mode \"tcp\", where HAProxy counts no requests; wanted "
              "metric: SESSIONS, or mode http");
  }
  spec.set_metric(v1::HaproxyUsage::SESSIONS);
  HaproxyUsage sessions(spec, clock);
  REQUIRE(sessions.Read("web", absl::InfinitePast())->samples.empty());
  REQUIRE(ConnectToLoopback(port, 5));
  std::vector<v1::Sample> samples;
  REQUIRE(PollUntil(kPatience, [&] {
    samples = sessions.Read("web", absl::InfinitePast())->samples;
    return !samples.empty() && samples[0].value() > 0;
  }));
}

TEST_CASE("a frontend that is none is a failed precondition that names it") {
  SystemClock clock;
  HaproxyProcess haproxy;
  v1::HaproxyUsage spec;
  spec.set_socket_path(haproxy.socket_path());
  for (const char* name : {"shop", "web"}) {  // None at all; a backend.
    spec.set_frontend(name);
    const absl::Status status =
        HaproxyUsage(spec, clock).Read("web", absl::InfinitePast()).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()).find("\"" + std::string(name) + "\"") != std::string::npos);
  }
  spec.set_frontend("front;quit");
  CHECK(HaproxyUsage(spec, clock).Read("web", absl::InfinitePast()).status().code() ==
        absl::StatusCode::kInvalidArgument);
  spec.set_socket_path("/nonexistent/haproxy.sock");
  spec.set_frontend("front");
  const absl::Status absent = HaproxyUsage(spec, clock).Read("web", absl::InfinitePast()).status();
  CHECK(absent.code() == absl::StatusCode::kUnavailable);
  CHECK(std::string(absent.message()).find("/nonexistent/haproxy.sock") != std::string::npos);
}

}  // namespace
}  // namespace shadow
