// Each system call of the usage sources fails in its turn, once, and every n-th of them: a
// reading is right or an error, the next one is right again, and nothing is left over.
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/usage/cgroup_usage.h"
#include "server/usage/haproxy_usage.h"
#include "server/usage/prometheus_usage.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"
#include "tests/fault/failing_calls/neighbour_calls.h"
#include "tests/fault/tally.h"
#include "tests/server/balancers/unix_peer.h"
#include "tests/server/usage/scripted_http.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr int64_t kPerSecond = 120;  // What every reading must say.

// Who is asked, and by what.
class FailingSource {
 public:
  virtual ~FailingSource() = default;
  virtual UsageSource& source() = 0;
  // What it has counted from its beginning.
  virtual void SetCount(int64_t count) = 0;

  ManualClock& clock() { return clock_; }

 private:
  ManualClock clock_;
};

class FailingHaproxyUsage final : public FailingSource {
 public:
  UsageSource& source() override { return usage_; }
  void SetCount(int64_t count) override { count_ = count; }

 private:
  std::string Reply() const {
    return absl::StrCat("# pxname,svname,stot,req_tot,mode\nfront,FRONTEND,0,", count_.load(),
                        ",http\n\nPid: 1\nStart_time_sec: 1\n\n");
  }
  v1::HaproxyUsage Spec() const {
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer_.path());
    spec.set_frontend("front");
    return spec;
  }

  std::atomic<int64_t> count_ = 0;
  const UnixPeer peer_{[this](const UnixPeer&, const TestSocket& socket, const std::string&) {
    SendAll(socket, Reply());
  }};
  HaproxyUsage usage_{Spec(), clock()};
};

// A target that lets nobody in without the whole token.
class FailingScrape final : public FailingSource {
 public:
  FailingScrape() {
    std::filesystem::create_directory(directory_.path() + "/instances");
    std::ofstream(Token()) << "a-token-of-some-length";
    usage_ = std::make_unique<PrometheusUsage>(Spec(), absl::Minutes(1), clock());
  }
  UsageSource& source() override { return *usage_; }
  void SetCount(int64_t count) override { count_ = count; }

 private:
  std::string Token() const { return directory_.path() + "/instances/token"; }
  std::string Reply(const std::string& request) const {
    if (request.find("Bearer a-token-of-some-length\r\n") == std::string::npos) {
      return RawReply(401, "");
    }
    return RawReply(200, absl::StrCat("# TYPE asked counter\nasked ", count_.load(), "\n"));
  }
  v1::PrometheusUsage Spec() const {
    v1::PrometheusUsage spec;
    spec.set_url(http_.url());
    spec.mutable_scrape()->set_metric("asked");
    spec.set_bearer_token_file(Token());
    return spec;
  }

  const TempDirectory directory_;
  std::atomic<int64_t> count_ = 0;
  ScriptedHttp http_{[this](const std::string& request) { return Reply(request); }};
  std::unique_ptr<PrometheusUsage> usage_;
};

// Its files are where calls of a provider fail.
class FailingCgroup final : public FailingSource {
 public:
  FailingCgroup() { std::filesystem::create_directories(Path()); }
  UsageSource& source() override { return usage_; }
  void SetCount(int64_t count) override {
    std::ofstream(Path() + "/cpu.stat") << "usage_usec " << count * 1'000'000 << "\nuser_usec 1\n";
  }

 private:
  std::string Path() const { return directory_.path() + "/instances/web.slice"; }

  const TempDirectory directory_;
  CgroupUsage usage_{v1::CgroupUsage::CPU, Path(), clock()};
};

template <typename Source>
class UsageRow {
 public:
  UsageRow(const std::string& of, const NeighbourCall& call)
      : call_(call), tally_(absl::StrCat(of, ", ", call.refused.what), "calls") {
    Advance();
    const auto first = Read();
    INFO(first.status());
    REQUIRE(first.ok());
    CHECK(first->samples.empty());
    Expect(false);
    descriptors_ = OpenDescriptors();
  }

  void Run() {
    for (int64_t n = 1; Ask(n, 1); ++n) {
    }
    for (int64_t n = FirstOfMany(call_.refused); Ask(n, 0); n *= 2) {
    }
  }

 private:
  // False: there is no such call any more.
  bool Ask(int64_t every, int64_t refusals_max) {
    INFO(call_.refused.what << ", number " << every << (refusals_max == 0 ? " and so on" : ""));
    FailingHere failing(call_.refused, every, refusals_max);
    Expect(!call_.harmless);
    failing.End();
    const int64_t refused = FailingHere::refused();
    tally_.Try(refused);
    Expect(false);
    if (!PollUntil(kPatience, [&] { return OpenDescriptors() == descriptors_; })) tally_.Leak(1);
    return refused > 0;
  }

  void Expect(bool may_fail) {
    Advance();
    const auto reading = Read();
    if (!reading.ok()) {
      INFO(reading.status());
      CHECK(IsOfTheNeighbour(reading.status()));
      if (!may_fail) tally_.Fail(1);
      return;
    }
    const bool right =
        reading->samples.size() == 1 && reading->samples[0].value() == double{kPerSecond};
    if (!right) tally_.Lose(1);
  }

  // The calls of the test itself do not fail.
  void Advance() {
    const uint64_t calls = FaultsHere().calls.exchange(0);
    from_.clock().Advance(absl::Seconds(1));
    count_ += kPerSecond;
    from_.SetCount(count_);
    FaultsHere().calls = calls;
  }

  absl::StatusOr<UsageReading> Read() {
    return from_.source().Read("pools/web", from_.clock().Now().wall - absl::Seconds(1));
  }

  const NeighbourCall& call_;
  Tally tally_;
  Source from_;
  int64_t count_ = 1000;
  size_t descriptors_ = 0;
};

TEST_CASE("each system call of a usage source over a socket that fails is an error, never a rate") {
  for (const NeighbourCall& call : kNeighbourCalls) {
    UsageRow<FailingHaproxyUsage>("HAProxy usage", call).Run();
    UsageRow<FailingScrape>("Prometheus usage", call).Run();
  }
}

TEST_CASE("each system call of a usage source at files that fails is an error, and never a rate") {
  constexpr NeighbourCall kFileCalls[] = {
      {{"open", Faults::kOpen, EMFILE}, false},
      {{"stat", Faults::kStat, EIO}, false},
      {{"read", Faults::kRead, EIO}, false},
      {{"read, interrupted", Faults::kRead, EINTR}, true},
      {{"short reads", Faults::kRead, Faults::kFew}, true},
  };
  for (const NeighbourCall& call : kFileCalls) {
    UsageRow<FailingCgroup>("cgroup usage", call).Run();
    UsageRow<FailingScrape>("Prometheus usage", call).Run();
  }
}

}  // namespace
}  // namespace shadow
