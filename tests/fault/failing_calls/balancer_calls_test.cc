// Each system call of the HAProxy balancer fails in its turn, once, and each so many-th of them:
// what is said to be done is done at HAProxy, a view is complete or an error, nobody else is
// touched, and nothing is left over.
#include <cerrno>

#include "server/balancers/haproxy_balancer.h"
#include "tests/fakes/assigned_members.h"
#include "tests/fakes/haproxy_process.h"
#include "tests/fakes/http_origin.h"
#include "tests/fault/failing_calls/neighbour_calls.h"
#include "tests/fault/tally.h"

namespace shadow {
namespace {

// Of one kind of call. One member serves through all of it, another one comes and goes each time.
class BalancerRow {
 public:
  explicit BalancerRow(const NeighbourCall& call)
      : call_(call), tally_(std::string("HAProxy balancer, ") + call.refused.what, "calls") {
    CHECK(members_.Add(stays_.address()).ok());
    REQUIRE(PollUntil(kPatience, [&] { return members_.SetWeight(stays_.address(), 100).ok(); }));
    descriptors_ = OpenDescriptors();
  }

  void Run() {
    for (int64_t n = 1; Live(n, 1); n += 1 + n / 2) {
    }
    for (int64_t n = FirstOfMany(call_.refused); Live(n, 0); n *= 3) {
    }
  }

 private:
  static constexpr int kTries = 3;
  static constexpr int kAbsent = -1;

  // False: there is no such call any more.
  bool Live(int64_t every, int64_t refusals_max) {
    INFO(call_.refused.what << ", number " << every << (refusals_max == 0 ? " and so on" : ""));
    const std::string address = comes_.address();
    FailingHere failing(call_.refused, every, refusals_max);
    Do(failing, 0, [&] { return members_.Add(address); });
    Do(failing, 50, [&] { return members_.SetWeight(address, 50); });
    Do(failing, 0, [&] { return members_.Drain(address); });
    Do(failing, kAbsent, [&] { return members_.Remove(address); });
    failing.End();
    const int64_t refused = FailingHere::refused();
    tally_.Try(refused);
    if (!PollUntil(kPatience, [&] { return OpenDescriptors() == descriptors_; })) tally_.Leak(1);
    return refused > 0;
  }

  // The verb is asked for again, as the loop does. Without an end, the calls fail no more then.
  template <typename F>
  void Do(FailingHere& failing, int weight, F verb) {
    absl::Status status = verb();
    for (int tries = 1; !status.ok() && tries < kTries; ++tries) {
      Judge(status);
      View(failing);
      status = verb();
    }
    if (!status.ok()) {
      failing.End();
      REQUIRE(PollUntil(kPatience, [&] { return verb().ok(); }));
    }
    View(failing);
    if (failing.Truth([&] { return WeightAt(comes_.address()); }) != weight) tally_.Lose(1);
    if (failing.Truth([&] { return WeightAt(stays_.address()); }) != 100) tally_.Lose(1);
  }

  // HAProxy's check may not have passed yet, whatever fails.
  void Judge(const absl::Status& status) {
    INFO(status);
    CHECK(IsOfTheNeighbour(status));
    const bool checked = status.message().find("is not UP") == absl::string_view::npos;
    if (call_.harmless && checked) tally_.Fail(1);
  }

  // What it says where it is no error.
  void View(FailingHere& failing) {
    const auto view = balancer_.View();
    if (!view.ok()) return Judge(view.status());
    CHECK(view->slots == 3);
    for (const HttpOrigin* origin : {&stays_, &comes_}) {
      int weight = kAbsent;
      for (const BalancerMember& member : view->members) {
        if (member.address == origin->address()) weight = member.weight_percent;
      }
      if (weight != failing.Truth([&] { return WeightAt(origin->address()); })) tally_.Lose(1);
    }
  }

  // As HAProxy has it; kAbsent: no member.
  int WeightAt(const std::string& address) {
    const auto servers = ParseServersState(haproxy_.Command({"show servers state web"}).at(0));
    REQUIRE(servers.ok());
    for (const HaproxyServer& server : *servers) {
      if (server.maintenance || server.address != address) continue;
      return server.draining ? 0 : server.weight;
    }
    return kAbsent;
  }

  v1::HaproxyBalancer Spec() const {
    v1::HaproxyBalancer spec;
    spec.set_socket_path(haproxy_.socket_path());
    spec.set_backend("web");
    return spec;
  }

  const NeighbourCall& call_;
  Tally tally_;
  HttpOrigin stays_{"stays"};
  HttpOrigin comes_{"comes"};
  HaproxyProcess haproxy_{{.slots = 3}};
  SystemClock clock_;
  HaproxyBalancer balancer_{Spec(), clock_};
  AssignedMembers members_{balancer_};
  size_t descriptors_ = 0;
};

TEST_CASE("each system call of the HAProxy balancer that fails is an error, and never a fact") {
  for (const NeighbourCall& call : kNeighbourCalls) BalancerRow(call).Run();
}

}  // namespace
}  // namespace shadow
